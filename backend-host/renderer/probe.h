/* What the host's GPU, driver and virglrenderer can do for guests, as binnacle-renderer would use
 * them, and for each thing that is off, why. */
#ifndef BN_RENDERER_PROBE_H
#define BN_RENDERER_PROBE_H

#include <stdio.h>

/* Starts the GL library as for a VM, on the render node at path `node` (NULL: on the software
 * rasteriser), and prints one JSON object: strings "gpu", "egl", "gl_renderer", "gl_version",
 * "virglrenderer", and the array "features" of {"name", "offered", "reason"}. Nothing else goes to
 * out. 0 also when there is no GL at all, as that is an answer; -errno when out cannot be written.
 * Once in a process, and not beside a bn_gl. */
int bn_probe_print_json(FILE *out, const char *node);

#endif
