#!/usr/bin/env bash
# Builds, checks and times polyphon on this machine's GPU, in less than 8 minutes, and writes bench/GPU.md.
#
#   bench/gpu.sh           all of it
#   bench/gpu.sh build     only the programs, into bin/gpu
#
# A machine with the driver and PyTorch but without Go runs what was built elsewhere: carry the folder with bin/gpu in
# it.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=bin/gpu
step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

if command -v go >/dev/null; then
	step build
	mkdir -p $bin
	gpu/toolkit.sh go build -tags cuda -ldflags '-s -w' -o $bin ./cmd/classify
	gpu/toolkit.sh go build -tags cuda -ldflags '-s -w' -o $bin/bench-polyphon ./bench/polyphon
	gpu/toolkit.sh go test -c -tags cuda -ldflags '-s -w' -o $bin ./gpu
elif [ ! -x $bin/gpu.test ]; then
	echo "bench/gpu.sh: no go here, and nothing in $bin: run bench/gpu.sh build where there is Go" >&2
	exit 1
fi
[ "${1:-}" != build ] || exit 0

step the machine
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
$bin/classify doctor --device cuda

step the table of cases, networks and features against the reference
(cd gpu && timeout 150 ../$bin/gpu.test -test.run . | tail -n 30)

step sounds from the command line, on the GPU and on the processor
for device in cuda cpu; do $bin/classify --device $device examples/*.wav | tee $bin/$device.txt; done
diff <(awk '{ print $1, $2 }' $bin/cuda.txt) <(awk '{ print $1, $2 }' $bin/cpu.txt)

step kernels
(cd gpu && timeout 100 ../$bin/gpu.test -test.run '^$' -test.bench . -test.benchtime 100x) >$bin/kernels.txt
grep -E 'MatMul/|MatMulTransA|Hadamard|Moments' $bin/kernels.txt

step rows against PyTorch
timeout 240 python3 bench/gpu.py
step done
