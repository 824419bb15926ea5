/* Who made the display, with libdisplay-info. */
#include <libdisplay-info/info.h>
#include <stdio.h>
#include <stdlib.h>

#include "kms_impl.h"

void bn_kms_edid_model(const void *edid, size_t size, char *out, size_t out_size)
{
	struct di_info *info = di_info_parse_edid(edid, size);
	char *make, *model;

	out[0] = '\0';
	if (!info)
		return;
	make = di_info_get_make(info);
	model = di_info_get_model(info);
	snprintf(out, out_size, "%s%s%s", make ? make : "", make && model ? " " : "",
		model ? model : "");
	free(make);
	free(model);
	di_info_destroy(info);
}
