#define _XOPEN_SOURCE_EXTENDED 1

#include "terminal.h"

#include <curses.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

#include "grid.h"
#include "top.h"

struct bn_terminal {
	SCREEN *screen;
	bool colour;
};

static const struct {
	short colour; /* -1: the terminal's own */
	attr_t plain; /* with colours */
	attr_t mono;
} looks[BN_STYLES] = {
	[BN_STYLE_PLAIN] = {-1, A_NORMAL, A_NORMAL},
	[BN_STYLE_HEAD] = {-1, A_BOLD, A_BOLD},
	[BN_STYLE_DIM] = {-1, A_DIM, A_NORMAL},
	[BN_STYLE_GOOD] = {COLOR_GREEN, A_NORMAL, A_NORMAL},
	[BN_STYLE_WARN] = {COLOR_YELLOW, A_NORMAL, A_UNDERLINE},
	[BN_STYLE_BAD] = {COLOR_RED, A_BOLD, A_REVERSE},
};

static void start_colours(struct bn_terminal *t)
{
	const char *no = getenv("NO_COLOR");
	t->colour =
		!(no && no[0]) && has_colors() && start_color() == OK && use_default_colors() == OK;
	for (short i = 1; t->colour && i < BN_STYLES; i++)
		init_pair(i, looks[i].colour, -1);
}

/* Asked before newterm(): on a terminal of paper that prints what makes no sense there. */
static bool can_move_cursor(void)
{
	int err;
	if (setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return false;
	bool can = tigetstr("cup") != NULL;
	del_curterm(cur_term);
	return can;
}

int bn_terminal_open(struct bn_terminal **out)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	struct bn_terminal *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	if (can_move_cursor())
		t->screen = newterm(NULL, stdout, stdin);
	if (!t->screen) {
		free(t);
		return -ENOTSUP;
	}
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(50);
	start_colours(t);
	bn_terminal_resized(t);
	*out = t;
	return 0;
}

void bn_terminal_close(struct bn_terminal *t)
{
	if (!t)
		return;
	endwin();
	delscreen(t->screen);
	free(t);
}

void bn_terminal_resized(struct bn_terminal *t)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
		((int)size.ws_row != LINES || (int)size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
}

void bn_terminal_size(const struct bn_terminal *t, unsigned *rows, unsigned *cols)
{
	*rows = LINES > 0 ? (unsigned)LINES : 1;
	*cols = COLS > 0 ? (unsigned)COLS : 1;
}

static void draw_cell(const struct bn_terminal *t, struct bn_cell cell, cchar_t *out)
{
	wchar_t text[2] = {(wchar_t)cell.character, 0};
	unsigned style = cell.style & ~(unsigned)BN_STYLE_SELECTED;
	attr_t attributes = t->colour ? looks[style].plain : looks[style].mono;
	/* A missed frame, all of a block, would otherwise be a hole in its row. */
	if (!t->colour && style == BN_STYLE_BAD && cell.character == 0x2588)
		text[0] = '#';
	if (cell.style & BN_STYLE_SELECTED)
		attributes |= style == BN_STYLE_HEAD ? A_REVERSE : A_BOLD;
	short pair = t->colour && looks[style].colour >= 0 ? (short)style : 0;
	setcchar(out, text, attributes, pair, NULL);
}

void bn_terminal_draw(struct bn_terminal *t, const struct bn_grid *g)
{
	cchar_t *line = calloc(g->cols + 1u, sizeof(*line));
	if (!line)
		return;
	for (unsigned row = 0; row < g->rows; row++) {
		for (unsigned col = 0; col < g->cols; col++)
			draw_cell(t, g->cells[(size_t)row * g->cols + col], &line[col]);
		mvadd_wchnstr((int)row, 0, line, (int)g->cols);
	}
	free(line);
	refresh();
}

void bn_terminal_redraw(struct bn_terminal *t)
{
	clearok(curscr, TRUE);
}

uint32_t bn_terminal_key(struct bn_terminal *t)
{
	static const struct {
		wint_t code;
		uint32_t key;
	} keys[] = {{KEY_UP, BN_KEY_UP}, {KEY_DOWN, BN_KEY_DOWN}, {KEY_PPAGE, BN_KEY_PAGE_UP},
		{KEY_NPAGE, BN_KEY_PAGE_DOWN}, {KEY_HOME, BN_KEY_HOME}, {KEY_END, BN_KEY_END},
		{KEY_ENTER, BN_KEY_ENTER}};
	wint_t c;
	int got = get_wch(&c);
	if (got == ERR)
		return 0;
	if (got == OK)
		return c == '\r' || c == '\n' ? BN_KEY_ENTER
		       : c == 27              ? BN_KEY_ESCAPE
		       : c == 12              ? (bn_terminal_redraw(t), UINT32_MAX)
					      : (uint32_t)c;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (c == keys[i].code)
			return keys[i].key;
	}
	return UINT32_MAX; /* a key, but none of ours */
}
