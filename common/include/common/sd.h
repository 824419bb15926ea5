/* Readiness, status and watchdog messages for the service manager. */
#ifndef BN_COMMON_SD_H
#define BN_COMMON_SD_H

/* Sends "READY=1", "STATUS=…", "WATCHDOG=1", "STOPPING=1" (sd_notify(3)) to the service manager.
 * Does nothing when no service manager waits for it (NOTIFY_SOCKET unset) or the program is
 * built without libsystemd. Failures are logged at debug level: nobody can act on them. */
void bn_sd_notify(const char *state);

#endif
