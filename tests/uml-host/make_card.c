/* make_card DISPLAYS: a vkms card with so many displays, and nothing else (kms_card.h). */
#include <stdio.h>
#include <stdlib.h>

#include "kms_card.h"

int main(int argc, char **argv)
{
	int displays = argc == 2 ? atoi(argv[1]) : 0;

	if (displays < 1 || displays > 8) {
		fprintf(stderr, "usage: make_card DISPLAYS (1 to 8)\n");
		return 2;
	}
	return kms_card_make((unsigned)displays) ? 0 : 1;
}
