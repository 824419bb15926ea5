/* The terminal that top has to itself while it runs. */
#ifndef BN_CTL_TERMINAL_H
#define BN_CTL_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

struct bn_grid;
struct bn_terminal; /* opaque */

/* Takes over the terminal on stdin and stdout. 0, -ENOTTY (there is none), -ENOTSUP (TERM is
 * unknown, or a terminal without cursor movement), -ENOSYS (built without ncurses). SIGWINCH is the
 * caller's to notice. */
int bn_terminal_open(struct bn_terminal **out);
/* Leaves it as it was found. NULL is allowed. */
void bn_terminal_close(struct bn_terminal *t);
/* Its size has changed. */
void bn_terminal_resized(struct bn_terminal *t);
void bn_terminal_size(const struct bn_terminal *t, unsigned *rows, unsigned *cols);
/* Changes what differs from the picture before. */
void bn_terminal_draw(struct bn_terminal *t, const struct bn_grid *g);
/* Everything is drawn anew next time (somebody else has written to it). */
void bn_terminal_redraw(struct bn_terminal *t);
/* The next key pressed, a character or BN_KEY_… (top.h); 0 when there is none. */
uint32_t bn_terminal_key(struct bn_terminal *t);

/* Whether the locale (LC_CTYPE must be set) is one of UTF-8. */
bool bn_terminal_is_utf8(void);

#endif
