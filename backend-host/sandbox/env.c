/* A renderer's environment: of the daemon's own only what drivers, the C library and sanitizers read. The
 * rest may hold anything (paths, sockets, tokens of whoever started the service), and whoever takes a
 * renderer over could read it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox_priv.h"

/* Beginnings of names, or with "=" whole names. binnacle-renderer(1) lists them. */
static const char *const kept[] = {
	/* Mesa: loader, rasterisers, compilers, tools */
	"LIBGL_",
	"EGL_",
	"MESA_",
	"GALLIUM_",
	"GALLIVM_",
	"LP_",
	"SOFTPIPE_",
	"DRAW_",
	"NIR_",
	"TGSI_",
	"ST_DEBUG=",
	"GBM_",
	"DRI_PRIME=",
	"__EGL_",
	"VK_",
	/* Mesa's drivers */
	"AMD_",
	"RADEON_",
	"R600_",
	"RADV_",
	"INTEL_",
	"ANV_",
	"NOUVEAU_",
	"FD_",
	"IR3_",
	"TU_",
	"PAN_",
	"V3D_",
	"VC4_",
	"ETNA_",
	"LIMA_",
	"AGX_",
	"ZINK_",
	/* virglrenderer */
	"VREND_",
	"VIRGL_",
	/* the C library and the loader, but nothing that brings foreign code in (LD_PRELOAD, LD_AUDIT) */
	"LD_LIBRARY_PATH=",
	"LD_BIND_NOW=",
	"GLIBC_TUNABLES=",
	"MALLOC_",
	"LANG=",
	"LANGUAGE=",
	"LC_",
	/* the log: stderr is the journal */
	"JOURNAL_STREAM=",
	/* sanitizers and coverage */
	"ASAN_",
	"UBSAN_",
	"LSAN_",
	"TSAN_",
	"MSAN_",
	"GCOV_",
	"LLVM_PROFILE_FILE=",
};

static bool is_kept(const char *variable)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (strncmp(variable, kept[i], strlen(kept[i])) == 0)
			return true;
	}
	return false;
}

char **bn_sandbox_env(void)
{
	size_t n = 0, bytes = 0, k = 0;
	for (char **v = environ; v && *v; v++) {
		n += is_kept(*v);
		bytes += is_kept(*v) ? strlen(*v) + 1 : 0;
	}
	/* The pointers and behind them what they point to. */
	char **env = malloc((n + 1) * sizeof(*env) + bytes);
	if (!env)
		return NULL;
	char *to = (char *)(env + n + 1);
	for (char **v = environ; v && *v && k < n; v++) {
		if (!is_kept(*v))
			continue;
		env[k++] = to;
		to = stpcpy(to, *v) + 1;
	}
	env[k] = NULL;
	return env;
}
