/* A picture made of characters: what a terminal shows, before it gets there. */
#ifndef BN_CTL_GRID_H
#define BN_CTL_GRID_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum bn_style {
	BN_STYLE_PLAIN,
	BN_STYLE_HEAD, /* titles */
	BN_STYLE_DIM,
	BN_STYLE_GOOD,
	BN_STYLE_WARN,
	BN_STYLE_BAD,
	BN_STYLES,
	BN_STYLE_SELECTED = 0x80, /* besides one of those above */
};

struct bn_cell {
	uint32_t character; /* one column wide */
	uint8_t style;
};

struct bn_grid {
	unsigned rows, cols;
	bool ascii;            /* the terminal knows nothing else */
	struct bn_cell *cells; /* rows × cols */
};

/* Blank. Both sizes are clipped to 1–1000. 0 or -ENOMEM. */
int bn_grid_init(struct bn_grid *g, unsigned rows, unsigned cols, bool ascii);
void bn_grid_finish(struct bn_grid *g);
/* Anything outside of the picture is left out, by all of these. */
void bn_grid_cell(struct bn_grid *g, unsigned row, unsigned col, uint32_t character, uint8_t style);
/* text in at most width columns: what is longer ends in '…' ('~'). Returns the columns used. */
unsigned bn_grid_text(struct bn_grid *g, unsigned row, unsigned col, unsigned width, uint8_t style,
	const char *text);
/* The same, ending at column col + width. */
void bn_grid_right(struct bn_grid *g, unsigned row, unsigned col, unsigned width, uint8_t style,
	const char *text);
/* As bn_grid_text(), to the picture's edge. Returns the column behind. */
__attribute__((format(printf, 5, 6))) unsigned bn_grid_printf(
	struct bn_grid *g, unsigned row, unsigned col, uint8_t style, const char *fmt, ...);
/* The row as text without blanks at its end. Writes at most size bytes, terminated. */
void bn_grid_row(const struct bn_grid *g, unsigned row, char *buffer, size_t size);
/* All rows but the blank ones at the end. */
void bn_grid_print(const struct bn_grid *g, FILE *out);

#endif
