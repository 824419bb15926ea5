#include "grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "text.h"

#define SIDE_MAX 1000u

static unsigned clip(unsigned side)
{
	return side < 1 ? 1 : side > SIDE_MAX ? SIDE_MAX : side;
}

int bn_grid_init(struct bn_grid *g, unsigned rows, unsigned cols, bool ascii)
{
	*g = (struct bn_grid){.rows = clip(rows), .cols = clip(cols), .ascii = ascii};
	g->cells = calloc((size_t)g->rows * g->cols, sizeof(*g->cells));
	if (!g->cells)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)g->rows * g->cols; i++)
		g->cells[i].character = ' ';
	return 0;
}

void bn_grid_finish(struct bn_grid *g)
{
	free(g->cells);
	*g = (struct bn_grid){0};
}

void bn_grid_cell(struct bn_grid *g, unsigned row, unsigned col, uint32_t character, uint8_t style)
{
	if (row >= g->rows || col >= g->cols)
		return;
	if (g->ascii && character >= 0x7f)
		character = '?';
	g->cells[(size_t)row * g->cols + col] = (struct bn_cell){character, style};
}

static unsigned columns_of(const char *text)
{
	unsigned n = 0;
	while (bn_text_next(&text))
		n++;
	return n;
}

unsigned bn_grid_text(struct bn_grid *g, unsigned row, unsigned col, unsigned width, uint8_t style,
	const char *text)
{
	if (col >= g->cols)
		return 0;
	if (width > g->cols - col)
		width = g->cols - col;
	unsigned length = columns_of(text);
	for (unsigned i = 0; i < length && i < width; i++) {
		uint32_t c = bn_text_next(&text);
		if (i + 1 == width && length > width)
			c = g->ascii ? '~' : 0x2026;
		bn_grid_cell(g, row, col + i, c, style);
	}
	return length < width ? length : width;
}

void bn_grid_right(struct bn_grid *g, unsigned row, unsigned col, unsigned width, uint8_t style,
	const char *text)
{
	unsigned length = columns_of(text);
	bn_grid_text(g, row, col + (length < width ? width - length : 0), width, style, text);
}

unsigned bn_grid_printf(
	struct bn_grid *g, unsigned row, unsigned col, uint8_t style, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return col + bn_grid_text(g, row, col, g->cols, style, text);
}

/* Columns of the row up to its last character. */
static unsigned used(const struct bn_grid *g, unsigned row)
{
	unsigned n = g->cols;
	while (n > 0 && g->cells[(size_t)row * g->cols + n - 1].character == ' ')
		n--;
	return n;
}

void bn_grid_row(const struct bn_grid *g, unsigned row, char *buffer, size_t size)
{
	size_t len = 0;
	unsigned n = row < g->rows ? used(g, row) : 0;
	for (unsigned i = 0; i < n && len + 5 <= size; i++)
		len += bn_text_encode(g->cells[(size_t)row * g->cols + i].character, buffer + len);
	buffer[len] = '\0';
}

void bn_grid_print(const struct bn_grid *g, FILE *out)
{
	unsigned rows = g->rows;
	while (rows > 0 && used(g, rows - 1) == 0)
		rows--;
	for (unsigned row = 0; row < rows; row++) {
		char text[SIDE_MAX * 4 + 5];
		bn_grid_row(g, row, text, sizeof(text));
		fprintf(out, "%s\n", text);
	}
}
