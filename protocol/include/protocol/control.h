/* The control socket (binnaclectl ↔ binnacled): SOCK_SEQPACKET, one JSON object per message. A
 * request is {"command": NAME, …arguments}; the answer is {"ok": true, …} or {"ok": false, "error":
 * TEXT}. A picture comes as a memfd with the answer. */
#ifndef BN_PROTOCOL_CONTROL_H
#define BN_PROTOCOL_CONTROL_H

/* A request's and an answer's greatest length in bytes. */
#define BN_CONTROL_REQUEST_MAX 4096
#define BN_CONTROL_ANSWER_MAX 65536

/* The socket when neither the configuration nor the command line names one:
 * $XDG_RUNTIME_DIR/binnacle/control, or /run/binnacle/control for root. */
#define BN_CONTROL_NAME "control"

/* Commands:
 * "status"                      → "version", "vms": [ … ], "outputs": [ … ] (fields: binnaclectl(1))
 * "screenshot"  "output": NAME  → "width", "height", "stride", "format": "XR24", and one sealed
 *                                 memfd with the pixels
 * "output"      "output": NAME, and "mode": "WxH[@HZ]" and/or "enabled": bool
 *                               → changes a display at run time
 * "quit"                        → stops the service as SIGTERM does
 */

#endif
