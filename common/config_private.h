/* Shared by the parts of the config reader only. */
#ifndef BN_COMMON_CONFIG_PRIVATE_H
#define BN_COMMON_CONFIG_PRIVATE_H

#include "common/config.h"

/* An unknown word is answered with a known one that is at most so many edits away. */
#define BN_SUGGEST_DISTANCE 2

/* The number of single-character edits between two words; more than BN_SUGGEST_DISTANCE for
 * words of 48 bytes or more. */
unsigned bn_edit_distance(const char *a, const char *b);

#endif
