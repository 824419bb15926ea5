#include "vt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void clear(struct vt *vt, unsigned row, unsigned from, unsigned to)
{
	for (unsigned col = from; col < to && row < vt->rows; col++) {
		vt->cell[row][col] = ' ';
		vt->attr[row][col] = 0;
	}
}

void vt_resize(struct vt *vt, unsigned rows, unsigned cols)
{
	vt->rows = min(rows, VT_ROWS);
	vt->cols = min(cols, VT_COLS);
	vt->top = 0;
	vt->bottom = vt->rows - 1;
	vt->row = min(vt->row, vt->rows - 1);
	vt->col = min(vt->col, vt->cols - 1);
}

void vt_init(struct vt *vt, unsigned rows, unsigned cols)
{
	memset(vt, 0, sizeof(*vt));
	vt_resize(vt, VT_ROWS, VT_COLS);
	for (unsigned row = 0; row < VT_ROWS; row++)
		clear(vt, row, 0, VT_COLS);
	vt_resize(vt, rows, cols);
}

static void copy_row(struct vt *vt, unsigned to, unsigned from)
{
	memcpy(vt->cell[to], vt->cell[from], sizeof(vt->cell[to]));
	memcpy(vt->attr[to], vt->attr[from], sizeof(vt->attr[to]));
}

static void scroll_up(struct vt *vt, unsigned top, unsigned n)
{
	for (; n > 0; n--) {
		for (unsigned row = top; row < vt->bottom; row++)
			copy_row(vt, row, row + 1);
		clear(vt, vt->bottom, 0, vt->cols);
	}
}

static void scroll_down(struct vt *vt, unsigned top, unsigned n)
{
	for (; n > 0; n--) {
		for (unsigned row = vt->bottom; row > top; row--)
			copy_row(vt, row, row - 1);
		clear(vt, top, 0, vt->cols);
	}
}

static void line_feed(struct vt *vt)
{
	if (vt->row == vt->bottom)
		scroll_up(vt, vt->top, 1);
	else if (vt->row + 1 < vt->rows)
		vt->row++;
}

static void put(struct vt *vt, uint32_t c)
{
	if (vt->wrap) {
		vt->col = 0;
		line_feed(vt);
		vt->wrap = false;
	}
	vt->cell[vt->row][vt->col] = vt->last = c;
	vt->attr[vt->row][vt->col] = vt->pen;
	if (vt->col + 1 < vt->cols)
		vt->col++;
	else
		vt->wrap = true;
}

static void shift(struct vt *vt, unsigned n, bool insert)
{
	uint32_t *cell = vt->cell[vt->row];
	unsigned char *attr = vt->attr[vt->row];
	unsigned rest = vt->cols - vt->col;
	n = min(n, rest);
	unsigned from = vt->col + (insert ? 0 : n), to = vt->col + (insert ? n : 0);
	memmove(cell + to, cell + from, (rest - n) * sizeof(*cell));
	memmove(attr + to, attr + from, rest - n);
	if (insert)
		clear(vt, vt->row, vt->col, vt->col + n);
	else
		clear(vt, vt->row, vt->cols - n, vt->cols);
}

static void pen(struct vt *vt, const unsigned *arg, unsigned args)
{
	for (unsigned i = 0; i < args; i++) {
		unsigned a = arg[i];
		if (a == 0)
			vt->pen = 0;
		else if (a == 1)
			vt->pen |= 2;
		else if (a == 7)
			vt->pen |= 1;
		else if (a == 27)
			vt->pen &= ~1;
		else if (a == 22)
			vt->pen &= ~2;
		else if (a == 39)
			vt->pen &= ~4;
		else if (a == 31)
			vt->pen |= 4;
		else if (a >= 32 && a <= 37)
			vt->pen &= ~4;
		if ((a >= 30 && a <= 38) || (a >= 40 && a <= 48))
			vt->coloured = true;
	}
}

static void erase(struct vt *vt, unsigned how)
{
	for (unsigned row = 0; row < vt->rows; row++) {
		if ((how == 0 && row > vt->row) || (how == 1 && row < vt->row) || how == 2)
			clear(vt, row, 0, vt->cols);
	}
	if (how != 2)
		clear(vt, vt->row, how ? 0 : vt->col, how ? vt->col + 1 : vt->cols);
}

static void mode(struct vt *vt, const unsigned *arg, unsigned args, bool on)
{
	for (unsigned i = 0; i < args; i++) {
		if (arg[i] == 1049)
			vt->alternate = on;
		if (arg[i] == 25)
			vt->cursor_hidden = !on;
	}
}

static void move(struct vt *vt, unsigned row, unsigned col)
{
	vt->row = min(row, vt->rows - 1);
	vt->col = min(col, vt->cols - 1);
	vt->wrap = false;
}

/* The sequences that move the cursor; false for others. */
static bool moves(struct vt *vt, char final, const unsigned *arg)
{
	unsigned n = arg[0] ? arg[0] : 1;
	switch (final) {
	case 'H':
	case 'f':
		move(vt, n - 1, (arg[1] ? arg[1] : 1) - 1);
		return true;
	case 'A':
		move(vt, vt->row - min(n, vt->row), vt->col);
		return true;
	case 'B':
		move(vt, vt->row + n, vt->col);
		return true;
	case 'C':
		move(vt, vt->row, vt->col + n);
		return true;
	case 'D':
		move(vt, vt->row, vt->col - min(n, vt->col));
		return true;
	case 'G':
		move(vt, vt->row, n - 1);
		return true;
	case 'd':
		move(vt, n - 1, vt->col);
		return true;
	}
	return false;
}

static void region(struct vt *vt, const unsigned *arg)
{
	vt->top = arg[0] ? min(arg[0], vt->rows) - 1 : 0;
	vt->bottom = arg[1] ? min(arg[1], vt->rows) - 1 : vt->rows - 1;
	move(vt, 0, 0);
}

/* ESC [ arguments final */
static void control(struct vt *vt, const char *text, char final)
{
	unsigned arg[8] = {0}, args = 0, n;
	bool private = text[0] == '?';
	for (const char *s = text + (text[0] == '?' || text[0] == '>'); args < 8; s++) {
		arg[args++] = (unsigned)strtoul(s, (char **)&s, 10);
		if (*s != ';')
			break;
	}
	n = arg[0] ? arg[0] : 1;
	if (text[0] == '>' || final == 't' || final == 'c' || moves(vt, final, arg))
		return;
	switch (final) {
	case 'm':
		pen(vt, arg, args);
		break;
	case 'J':
		erase(vt, arg[0]);
		break;
	case 'K':
		clear(vt, vt->row, arg[0] ? 0 : vt->col, arg[0] == 1 ? vt->col + 1 : vt->cols);
		break;
	case 'X':
		clear(vt, vt->row, vt->col, min(vt->col + n, vt->cols));
		break;
	case 'P':
	case '@':
		shift(vt, n, final == '@');
		break;
	case 'b':
		for (; n > 0; n--)
			put(vt, vt->last);
		break;
	case 'L':
		scroll_down(vt, vt->row, n);
		break;
	case 'M':
		scroll_up(vt, vt->row, n);
		break;
	case 'S':
		scroll_up(vt, vt->top, n);
		break;
	case 'T':
		scroll_down(vt, vt->top, n);
		break;
	case 'r':
		region(vt, arg);
		break;
	case 'h':
	case 'l':
		if (private)
			mode(vt, arg, args, final == 'h');
		break;
	default:
		vt->unknown++;
	}
}

/* A whole ESC sequence? Then it is carried out. */
static bool escape(struct vt *vt, const char *s, unsigned len)
{
	if (len < 2)
		return false;
	char kind = s[1], last = s[len - 1];
	if (kind == '[') {
		if (len < 3 || last < 0x40 || last > 0x7e)
			return false;
		char text[64];
		memcpy(text, s + 2, len - 3);
		text[len - 3] = '\0';
		control(vt, text, last);
		return true;
	}
	if (strchr("()*+", kind))
		return len == 3;
	if (kind == 'M') {
		if (vt->row == vt->top)
			scroll_down(vt, vt->top, 1);
		else
			vt->row--;
	} else if (!strchr("=>78Hc", kind)) {
		vt->unknown++;
	}
	return true;
}

/* A whole UTF-8 character? Then it is shown. */
static bool character(struct vt *vt, const char *s, unsigned len)
{
	unsigned char lead = (unsigned char)s[0];
	unsigned want = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (len < want)
		return false;
	uint32_t c = want == 1 ? lead : lead & (0x7fu >> want);
	for (unsigned i = 1; i < want; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	put(vt, c);
	return true;
}

static void byte(struct vt *vt, char c)
{
	char *s = vt->pending;
	if (vt->pending_len == 0 && (unsigned char)c < 0x20 && c != 27) {
		if (c == '\n')
			line_feed(vt);
		else if (c == '\r')
			move(vt, vt->row, 0);
		else if (c == '\b')
			move(vt, vt->row, vt->col - min(1, vt->col));
		else if (c == '\t')
			move(vt, vt->row, (vt->col | 7) + 1);
		return; /* NUL is padding, SO and SI choose character sets */
	}
	s[vt->pending_len++] = c;
	if ((s[0] == 27 ? escape : character)(vt, s, vt->pending_len) ||
		vt->pending_len == sizeof(vt->pending))
		vt->pending_len = 0;
}

void vt_write(struct vt *vt, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		byte(vt, data[i]);
}

const char *vt_row(const struct vt *vt, unsigned row)
{
	static char text[VT_COLS * 4 + 1];
	size_t len = 0, end = 0;
	for (unsigned col = 0; col < vt->cols; col++) {
		uint32_t c = vt->cell[row][col];
		if (c < 0x80) {
			text[len++] = (char)c;
		} else if (c < 0x800) {
			text[len++] = (char)(0xc0 | c >> 6);
			text[len++] = (char)(0x80 | (c & 0x3f));
		} else {
			text[len++] = (char)(0xe0 | (c >> 12 & 15));
			text[len++] = (char)(0x80 | (c >> 6 & 0x3f));
			text[len++] = (char)(0x80 | (c & 0x3f));
		}
		end = c != ' ' ? len : end;
	}
	text[end] = '\0';
	return text;
}

int vt_find(const struct vt *vt, const char *text)
{
	for (unsigned row = 0; row < vt->rows; row++) {
		if (strstr(vt_row(vt, row), text))
			return (int)row;
	}
	return -1;
}
