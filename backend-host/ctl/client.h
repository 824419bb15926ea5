/* Questions to binnacled, and its answers. */
#ifndef BN_CTL_CLIENT_H
#define BN_CTL_CLIENT_H

struct json_object;

/* How long an answer may take that needs no waiting for anything. */
#define BN_CTL_ANSWER_MS 10000

/* The control socket when nobody names one: where the service of this user listens, else the
 * system's. Writes at most size bytes. */
void bn_ctl_default_socket(char *path, unsigned size);

/* ---- one step at a time; none of these prints ---- */

/* A connection, or -errno. The caller's to close. */
int bn_ctl_connect(const char *socket_path);
/* What a person can do about that -errno of bn_ctl_connect(). */
const char *bn_ctl_hint(int err);
/* Sends without blocking. 0 or -errno. */
int bn_ctl_send(int sock, struct json_object *request);
/* Waits at most timeout_ms for the next message, a JSON object, the caller's to put; a long one is
 * fetched from its memfd. *fd gets the fd that came along (-1: none; the caller's); fd may be NULL.
 * 0, -ETIMEDOUT, -ECONNRESET (the service closed the connection), -EBADMSG (not understood) or
 * another -errno. */
int bn_ctl_receive(int sock, int timeout_ms, struct json_object **answer, int *fd);

/* ---- all of it, saying on stderr what went wrong ---- */

/* Connects. An fd or -errno. */
int bn_ctl_open(const char *socket_path);
/* What bn_ctl_receive() failed with. */
void bn_ctl_complain(int err);
/* 0 when the answer's "ok" is true; else 1, having printed its "error". */
int bn_ctl_check(struct json_object *answer);
/* Sends request and waits for the answer (the caller's to put), with the fd that came along in *fd
 * (-1: none; the caller's; fd may be NULL). Returns 0; 1 when the service refuses, with its answer;
 * -errno and NULL when there is none. */
int bn_ctl_ask(
	const char *socket_path, struct json_object *request, struct json_object **answer, int *fd);

#endif
