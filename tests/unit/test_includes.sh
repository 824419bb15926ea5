#!/usr/bin/env bash
# test_includes.sh SOURCE-FOLDER [COMPILER…]
#
# Checks the direction of the folders: each may include only its own headers and those of the folders
# below it; every public header compiles alone with just these; what a public header creates or
# initialises it can also destroy or finish.
set -euo pipefail

cd "$1"
shift
cc=("$@")
[ ${#cc[@]} -gt 0 ] || cc=(cc)
mistakes=0

mistake() {
	printf '%s\n' "$*"
	mistakes=$((mistakes + 1))
}

declare -A allowed=(
	[common]=""
	[protocol]=""
	[zero-copy]="protocol common"
	[scheduler]="common protocol"
	[compositor]="zero-copy common protocol"
	[backend-host]="common protocol zero-copy scheduler compositor"
	[frontend-guest]="protocol"
)
# The table knows of libc only for these two; libraries would be wrong there.
libraries='wayland-|json|ini\.h|systemd/|virgl|EGL/|GLES|epoxy/|gbm\.h|xf86drm|libdrm/|pixman|png\.h|seccomp'

check_includes() {
	local folder=$1 file line header target
	while IFS=: read -r file line header; do
		header=${header#*[<\"]}
		header=${header%%[>\"]*}
		case "$header" in
		../* | */../*) mistake "$file:$line: '$header': a header is named by its folder, not by '..'" ;;
		esac
		target=${header%%/*}
		[ "$target" != "$folder" ] && [ -n "${allowed[$target]+known}" ] || continue
		case " ${allowed[$folder]} " in
		*" $target "*) ;;
		*) mistake "$file:$line: $folder/ may not use $target/ (it may use: ${allowed[$folder]:-nothing of ours})" ;;
		esac
	done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' --include='*.c' --include='*.h' "$folder")
}

for folder in "${!allowed[@]}"; do
	[ ! -d "$folder" ] || check_includes "$folder"
done
while IFS= read -r hit; do
	mistake "$hit: protocol/ and scheduler/ use no library"
done < <(grep -rnE "#include <($libraries)" --include='*.[ch]' protocol scheduler)

# Compiled alone, with nothing but what the folder may use.
read -ra flags <<<"$(pkg-config --cflags wayland-server json-c libdrm pixman-1 2>/dev/null || true)"
for header in */include/*/*.h; do
	folder=${header%%/*}
	paths=("-I$folder/include")
	for other in ${allowed[$folder]:-}; do
		paths+=("-I$other/include")
	done
	if ! "${cc[@]}" -fsyntax-only -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter \
		"${flags[@]}" "${paths[@]}" -x c - <<<"#include \"${header#*/include/}\""; then
		mistake "$header: does not compile alone"
	fi
done

# Pairs. Plain data needs no finish, a memfd is closed.
plain=' bn_histogram_init bn_monitor_init bn_log_init bn_memfd_create '
declared() { grep -rqE "\b$1\(" --include='*.h' ./*/include; }
while IFS= read -r name; do
	[[ $plain != *" $name "* ]] || continue
	case "$name" in
	*_create) declared "${name%_create}_(destroy|unref|drop|unlock)" || mistake "$name: no ${name%_create}_destroy" ;;
	*_init) declared "${name%_init}_finish" || mistake "$name: no ${name%_init}_finish" ;;
	esac
done < <(grep -rhoE '\bbn_[a-z0-9_]+_(create|init)\(' --include='*.h' ./*/include | tr -d '(' | sort -u)

if [ "$mistakes" -gt 0 ]; then
	echo "$mistakes mistakes"
	exit 1
fi
echo "includes, headers and pairs are in order"
