/* What a terminal shows after all that a program has written to it: as much of a VT100 and xterm as
 * ncurses makes use of. */
#ifndef BN_TESTS_VT_H
#define BN_TESTS_VT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VT_ROWS 64
#define VT_COLS 200

struct vt {
	unsigned rows, cols, row, col;
	unsigned top, bottom;                    /* scrolling region */
	bool wrap;                               /* the next character goes to the next line */
	bool alternate, cursor_hidden, coloured; /* coloured: a colour has been asked for, ever */
	unsigned unknown;                        /* sequences that were not understood */
	uint32_t last;
	uint32_t cell[VT_ROWS][VT_COLS];
	unsigned char attr[VT_ROWS][VT_COLS]; /* 1 reverse, 2 bold, 4 red */
	unsigned char pen;
	/* What is not whole yet. */
	char pending[64];
	unsigned pending_len;
};

void vt_init(struct vt *vt, unsigned rows, unsigned cols);
void vt_resize(struct vt *vt, unsigned rows, unsigned cols);
void vt_write(struct vt *vt, const char *data, size_t len);
/* The row as UTF-8 without blanks at its end, in a buffer that the next call reuses. */
const char *vt_row(const struct vt *vt, unsigned row);
/* The first row with that text in it; -1 without one. */
int vt_find(const struct vt *vt, const char *text);

#endif
