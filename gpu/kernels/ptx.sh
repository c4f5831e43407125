#!/usr/bin/env bash
# Compiles the kernels to PTX, which the driver compiles further for its GPU: reproducibly, with CUDA 11.8's compiler
# and g++ 11 as its preprocessor. Run it after a change to the kernels. With --check it only reports whether the
# committed PTX is what the sources compile to.
set -euo pipefail
cd "$(dirname "$0")"
../toolkit.sh bash -euo pipefail -s -- "$@" <<'END'
command -v g++-11 >/dev/null || { echo "ptx.sh needs g++-11" >&2; exit 1; }
export PATH=$CUDA_ROOT/usr/lib/nvidia-cuda-toolkit/bin:$CUDA_ROOT/usr/bin:$PATH
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for capability in 70 80; do
	nvcc -ccbin g++-11 -ptx -arch=compute_$capability -std=c++17 -I"$CUDA_ROOT/usr/include" all.cu \
		-o "$out/compute_$capability.ptx"
	ptxas -arch=sm_$capability "$out/compute_$capability.ptx" -o /dev/null
	if [ "${1:-}" = --check ]; then
		zcat compute_$capability.ptx.gz | cmp - "$out/compute_$capability.ptx"
	else
		gzip -9nc "$out/compute_$capability.ptx" >compute_$capability.ptx.gz
	fi
done
END
