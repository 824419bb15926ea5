/* Where there is no ncurses. */
#include "terminal.h"

#include <errno.h>

int bn_terminal_open(struct bn_terminal **out)
{
	return -ENOSYS;
}

void bn_terminal_close(struct bn_terminal *t)
{
}

void bn_terminal_resized(struct bn_terminal *t)
{
}

void bn_terminal_size(const struct bn_terminal *t, unsigned *rows, unsigned *cols)
{
	*rows = *cols = 1;
}

void bn_terminal_draw(struct bn_terminal *t, const struct bn_grid *g)
{
}

void bn_terminal_redraw(struct bn_terminal *t)
{
}

uint32_t bn_terminal_key(struct bn_terminal *t)
{
	return 0;
}
