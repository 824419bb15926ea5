/* Folders in which renderers keep compiled shaders: one for each VM, so that no VM can put a shader
 * before another one. */
#ifndef BN_DAEMON_SHADER_CACHE_H
#define BN_DAEMON_SHADER_CACHE_H

#include "settings.h"

#define BN_SHADER_CACHE_PATH_MAX (BN_SETTINGS_PATH_MAX + BN_SETTINGS_NAME_MAX)

/* Makes dir (0711; its parent must be there) and dir/vm in it (0700, owned by the id that the VM's
 * renderer has outside of its sandbox), where they are missing. out becomes the latter's path. 0
 * or -errno; -EPERM for a folder of somebody else. */
int bn_shader_cache_make(char out[BN_SHADER_CACHE_PATH_MAX], const char *dir, const char *vm);

#endif
