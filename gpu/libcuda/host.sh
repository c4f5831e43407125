#!/usr/bin/env bash
# host.sh CMD...: runs CMD, a program built with -tags cuda, on a CUDA driver that is the host's processor (host.cpp),
# for tests without a GPU. Needs what toolkit.sh fetches.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
driver=$(mktemp -d)
trap 'rm -rf "$driver"' EXIT
"$here/../toolkit.sh" bash -euo pipefail -c '
	"${CXX:-c++}" -std=c++17 -O2 -Wall -fPIC -shared -I"$CUDA_ROOT/usr/include" \
		"$1"/host.cpp "$1"/../host_kernels.cpp "$1"/../host_fibers.cpp -o "$2/libcuda.so.1"' - "$here" "$driver"
LD_LIBRARY_PATH=$driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$@"
