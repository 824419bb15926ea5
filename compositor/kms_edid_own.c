/* Who made the display, without libdisplay-info: the three letters and the name in the base block. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kms_impl.h"

#define DESCRIPTOR 54
#define DESCRIPTOR_SIZE 18
#define NAME_TAG 0xfc

static void read_name(const uint8_t *edid, char name[14])
{
	name[0] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *d = edid + DESCRIPTOR + i * DESCRIPTOR_SIZE;

		if (d[0] || d[1] || d[3] != NAME_TAG)
			continue;
		memcpy(name, d + 5, 13);
		name[13] = '\0';
		name[strcspn(name, "\n")] = '\0';
	}
}

void bn_kms_edid_model(const void *edid, size_t size, char *out, size_t out_size)
{
	const uint8_t *bytes = edid;
	unsigned code;
	char name[14];

	out[0] = '\0';
	if (size < 128)
		return;
	code = (unsigned)bytes[8] << 8 | bytes[9];
	read_name(bytes, name);
	snprintf(out, out_size, "%c%c%c %s", '@' + (code >> 10 & 31), '@' + (code >> 5 & 31),
		'@' + (code & 31), name);
}
