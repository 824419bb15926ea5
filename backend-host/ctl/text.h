/* Text for terminals: cleaning what others wrote, numbers in few columns, bars and sparklines. */
#ifndef BN_CTL_TEXT_H
#define BN_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The next character of a UTF-8 text, which moves on; 0 at its end. What is no UTF-8, steers the
 * terminal, or is not surely one column wide comes as '?'. */
uint32_t bn_text_next(const char **text);
/* Writes the character (at most 4 bytes, not terminated); returns its length. */
unsigned bn_text_encode(uint32_t character, char *out);
/* Prints text from elsewhere, with '?' for what steers a terminal but line ends and tabs. */
void bn_text_print(FILE *out, const char *text);

/* The longest number of columns of bn_text_number(), and the size of its buffer. */
#define BN_TEXT_NUMBER 24
/* value with as many decimals (at most that many) as fit into width columns, or with k, M, G; "-"
 * for NAN. Returns buffer. */
const char *bn_text_number(
	char buffer[BN_TEXT_NUMBER], double value, unsigned width, unsigned decimals);
/* "59 s", "12 min 05 s", "3 h 07 min", "12 d 03 h". Returns buffer. */
const char *bn_text_duration(char buffer[BN_TEXT_NUMBER], double seconds);

/* Column i of `width` of a bar that is `part` (0.0–1.0; more counts as 1) full. */
uint32_t bn_text_bar(double part, unsigned i, unsigned width, bool ascii);
/* A frame of a sparkline: up to 7/8 high when it made its refresh; a full block when it missed one,
 * that is when it took one and a half periods or more. ms NAN or not above 0: blank. */
uint32_t bn_text_spark(double ms, double period_ms, bool ascii);
bool bn_text_missed(double ms, double period_ms);

#endif
