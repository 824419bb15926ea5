/* Files that a command writes. */
#ifndef BN_CTL_WHOLE_FILE_H
#define BN_CTL_WHOLE_FILE_H

#include <stdio.h>

/* Writes path as a whole or not at all: write() fills PATH.part, which then takes path's place. 0 or -errno, that of write()
 * included. */
int bn_ctl_write_whole(const char *path, int (*write)(FILE *file, void *data), void *data);

#endif
