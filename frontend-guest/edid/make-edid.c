/* make-edid WIDTHxHEIGHT@HZ FILE: writes an EDID with that one mode.
 *
 * Programs that take the largest mode they are offered (glmark2-es2-drm among them) then draw the same number of pixels behind every virtual GPU: boot with
 * drm.edid_firmware=edid/960x540.bin. */
#include <stdint.h>
#include <stdio.h>

#include "protocol/edid.h"

int main(int argc, char **argv)
{
	struct bn_edid_mode mode = {.name = "bench"};
	uint8_t edid[BN_EDID_SIZE];
	unsigned hz;

	if (argc != 3 || sscanf(argv[1], "%ux%u@%u", &mode.width, &mode.height, &hz) != 3) {
		fprintf(stderr, "usage: make-edid WIDTHxHEIGHT@HZ FILE\n");
		return 2;
	}
	mode.refresh_mhz = hz * 1000;
	size_t size = bn_edid_generate(&mode, edid);
	if (size == 0) {
		fprintf(stderr, "make-edid: %s cannot be expressed as an EDID\n", argv[1]);
		return 1;
	}
	FILE *f = fopen(argv[2], "wb");
	if (!f || fwrite(edid, 1, size, f) != size || fclose(f) != 0) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
