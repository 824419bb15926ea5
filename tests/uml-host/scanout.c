/* scanout CONTROL OUTPUT FILE.png: writes what the display hardware writes back of an output, which a watchdog has to look
 * at, of the service with that control socket. Fails when there is nothing for some seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "harness.h"

int main(int argc, char **argv)
{
	static struct e2e e;
	uint32_t width = 0, height = 0;
	uint32_t *pixels = NULL;
	char source[16] = "";
	uint64_t when;
	bool written;

	if (argc != 4) {
		fprintf(stderr, "usage: scanout CONTROL OUTPUT FILE.png\n");
		return 2;
	}
	snprintf(e.control, sizeof(e.control), "%s", argv[1]);
	for (unsigned i = 0; i < TG_DEADLINE_S * 50; i++) {
		free(pixels);
		pixels = e2e_scanout(&e, argv[2], &width, &height, source, &when);
		if (pixels && strcmp(source, "writeback") == 0)
			break;
		e2e_sleep_ms(20);
	}
	if (!pixels || strcmp(source, "writeback") != 0) {
		fprintf(stderr, "scanout: output %s: the source is '%s'\n", argv[2], source);
		free(pixels);
		return 1;
	}
	written = tg_png_write(argv[3], pixels, width, height);
	free(pixels);
	return written ? 0 : 1;
}
