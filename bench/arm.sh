#!/usr/bin/env bash
# Compares plain Go with NEON on the work of a listener and on training.
#
#   bench/arm.sh          on a machine with arm64: seconds, in less than five minutes
#   bench/arm.sh count    on Linux on amd64: instructions, counted under qemu, into bench/RESULTS.md
#
# Both need Go; counting needs gcc and Debian's qemu-user, which has plugins.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
go build -o bin/bench-arm ./bench/arm
go build -o bin/bench-polyphon ./bench/polyphon

if [ "${1:-}" != count ]; then
	if [ "$(go env GOARCH)" != arm64 ]; then
		echo "bench/arm.sh: not arm64; bench/arm.sh count counts instructions" >&2
		exit 1
	fi
	bin/bench-arm -worker bin/bench-polyphon -native bin/bench-polyphon
	exit
fi

command -v qemu-aarch64 >/dev/null || apt-get install -qy --no-install-recommends qemu-user >/dev/null
GOARCH=arm64 go build -o bin/bench-polyphon-arm64 ./bench/polyphon
gcc -O2 -shared -fPIC -fvisibility=hidden -o bin/count.so bench/arm/qemu/count.c
emulator="qemu-aarch64 -plugin bin/count.so"
version=$(qemu-aarch64 --version | awk 'NR == 1 { print $3 }')
table=$(bin/bench-arm -native bin/bench-polyphon -worker bin/bench-polyphon-arm64 -emulator "$emulator")

# loop prints the instructions of the product's inner loop, four steps of depth for a tile of 6 rows by 16 columns.
loop() {
	awk '/^TEXT/ { kernel = $2 ~ /neonMatMulTile/ } kernel && /:$/ { inside = $1 == "two6_four:"; next } inside && NF' \
		device/internal/simd/kernels_arm64.s
}
all=$(loop | wc -l) products=$(loop | grep -c fmla) loads=$(loop | grep -cE 'FMOVQ|FLDPQ')
bytes=$((16 * (6 + 4 * 4))) # rows of a, and columns of b
each() { awk "BEGIN { printf \"%.3f\", $1 / (4 * $products) }"; }

before=$(sed '/^<!-- arm -->$/,$d' bench/RESULTS.md) # which it is the last section of
cat >bench/RESULTS.md <<END
$before

<!-- arm -->
## arm64: instructions, not seconds

Instructions that polyphon executes on arm64, on one thread, counted under qemu ($version) by a plugin
(bench/arm/qemu/count.c). **They are no times**: an instruction on four floats may take longer than one on a single
float. \`bench/arm.sh\` measures seconds on a machine with arm64.

$table

The product's inner loop, a tile of 6 rows by 16 columns over four steps of depth, has $all instructions: $products of
them multiply and add ($((100 * products / all)) %), $loads load. Each is four multiply-adds of floats, so that one of
those takes $(each $loads) loads of $(each $bytes) bytes in all.

Commit $(git describe --always --dirty=+), $(go version | awk '{ print $3 }'), \`bench/arm.sh count\`.
END
sed -n '/^<!-- arm -->$/,$p' bench/RESULTS.md
