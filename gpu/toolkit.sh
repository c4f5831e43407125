#!/usr/bin/env bash
# toolkit.sh CMD...: runs CMD with what building with -tags cuda needs: CUDA's header, and a libcuda to link against
# (libcuda/shim.c). Without CMD it only prepares them. CUDA 11.8 comes from Debian 12's packages (contrib and non-free,
# from the machine's own mirror): they are unpacked into the cache, 90 MB, and not installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version="11.8.*" # gorgonia.org/cu does not build with 13
cache=${XDG_CACHE_HOME:-$HOME/.cache}/polyphon/cuda-11.8
root=$cache/root

# fetch unpacks the header, the driver's symbols and the compiler from Debian's packages.
fetch() {
	local apt=$cache/apt work
	mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts"
	sed 's/^Components: main.*/& contrib non-free/' /etc/apt/sources.list.d/debian.sources >"$apt/parts/cuda.sources"
	cat >"$apt/conf" <<-END
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$apt/parts";
		Dir::State::Lists "$apt/lists";
		Dir::Cache "$apt";
		APT::Sandbox::User "root";
	END
	export APT_CONFIG=$apt/conf
	apt-get -q update >&2
	work=$(mktemp -d -p "$cache")
	(cd "$work" && apt-get -q download "nvidia-cuda-dev=$version" "nvidia-cuda-toolkit=$version") >&2
	dpkg-deb --fsys-tarfile "$work"/nvidia-cuda-dev_*.deb |
		tar -x -C "$work" --wildcards './usr/include/*' '*/stubs/libcuda.so'
	dpkg-deb --fsys-tarfile "$work"/nvidia-cuda-toolkit_*.deb | tar -x -C "$work" \
		./usr/bin/{cudafe++,ptxas,fatbinary} ./usr/lib/nvidia-cuda-toolkit/{bin,libdevice}
	rm -f "$work"/*.deb "$work/usr/lib/nvidia-cuda-toolkit/bin/nvcc.profile"
	# shellcheck disable=SC2016 # for nvcc to expand
	echo 'NVVMIR_LIBRARY_DIR = $(_HERE_)/../libdevice' >"$work/usr/lib/nvidia-cuda-toolkit/bin/nvcc.profile"
	mv -T "$work" "$root" # whole or not at all
	unset APT_CONFIG
}

# shim compiles libcuda/shim.c, with one function for each of the driver's.
shim() {
	local work
	work=$(mktemp -d -p "$cache")
	nm -D --defined-only "$root"/usr/lib/*/stubs/libcuda.so |
		awk '$2 == "T" && $3 ~ /^cu[A-Z]/ && $3 != "cuInit" { print "FUNCTION(" $3 ")" }' |
		LC_ALL=C sort -u >"$work/symbols.h"
	"${CC:-cc}" -O2 -fPIC -Wall -I "$work" -c "$here/libcuda/shim.c" -o "$work/shim.o"
	ar rcs "$work/libcuda.a" "$work/shim.o"
	rm -rf "$cache/shim"
	mv -T "$work" "$cache/shim"
}

mkdir -p "$cache"
(
	flock 9
	[ -d "$root" ] || fetch
	[ "$cache/shim/libcuda.a" -nt "$here/libcuda/shim.c" ] || shim
) 9>"$cache/lock"
export CUDA_ROOT=$root CGO_ENABLED=1
export CGO_CFLAGS="-I$root/usr/include -w" CGO_LDFLAGS="-L$cache/shim -ldl"
[ $# -eq 0 ] || exec "$@"
