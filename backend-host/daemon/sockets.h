/* The service's sockets and the folder that they are in. */
#ifndef BN_DAEMON_SOCKETS_H
#define BN_DAEMON_SOCKETS_H

/* Makes the folder (its last part) if it is missing. 0 or -errno, logged with a remedy. */
int bn_make_runtime_dir(const char *path);
/* bn_unix_listen(), with one line in the log that names path and remedy when it fails; key is
 * the setting that names another path. */
int bn_listen(const char *path, int type, unsigned mode, const char *key);

#endif
