/* One question to binnacled. */
#ifndef BN_CTL_CLIENT_H
#define BN_CTL_CLIENT_H

struct json_object;

/* The control socket when nobody names one: where the service of this user listens, else the
 * system's. Writes at most size bytes. */
void bn_ctl_default_socket(char *path, unsigned size);

/* Sends request and waits for the answer. Returns the answer (the caller's to put) when its "ok"
 * is true, with the memfd that came in *fd (-1: none; the caller's). Otherwise prints why on
 * stderr and returns NULL. */
struct json_object *bn_ctl_ask(const char *socket_path, struct json_object *request, int *fd);

#endif
