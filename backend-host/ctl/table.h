/* The status for people. */
#ifndef BN_CTL_TABLE_H
#define BN_CTL_TABLE_H

#include <stdio.h>

struct json_object;

/* Prints what "status" answered as text of at most 100 columns. */
void bn_ctl_print_status(FILE *out, struct json_object *status);

#endif
