#!/usr/bin/env bash
# Compares plain Go with NEON on the work of a listener and on training.
#
#   bench/arm.sh          on a machine with arm64: seconds, in less than five minutes
#   bench/arm.sh count    on Linux on amd64: instructions, counted under qemu, into bench/RESULTS.md
#
# Both need Go; counting needs npm, for ONNX Runtime, and installs what it lacks of Debian's packages (qemu-user has
# plugins, qemu-user-static has none).
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

packages="gcc libc6-dev qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross"
for p in $packages; do
	dpkg -s "$p" >/dev/null 2>&1 || apt-get install -qy --no-install-recommends "$p" >/dev/null
done
[ -d bench/onnxruntime/node_modules ] || (cd bench/onnxruntime && npm ci --ignore-scripts >/dev/null)
runtime=$PWD/bench/onnxruntime/node_modules/onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1
# The header of ONNX Runtime's C interface is in a module of Go.
header=$(cd "$(mktemp -d)" && go mod init header >/dev/null 2>&1 &&
	go mod download -json github.com/yalue/onnxruntime_go@v1.27.0 | awk -F'"' '$2 == "Dir" { print $4 }')
go build -o bin/train ./cmd/train
GOARCH=arm64 go build -o bin/bench-polyphon-arm64 ./bench/polyphon
gcc -O2 -shared -fPIC -fvisibility=hidden -o bin/count.so bench/arm/qemu/count.c
aarch64-linux-gnu-gcc -O3 -ffast-math -mcpu=cortex-a76 -o bin/arm-product bench/arm/peers/product.c
aarch64-linux-gnu-gcc -O2 -I"$header" -o bin/arm-ort bench/arm/peers/ort.c

# The files that qemu's program sees: ONNX Runtime reads what processor it runs on.
root=bin/arm-root
mkdir -p $root/proc $root/sys/devices/system/cpu
ln -sfn /usr/aarch64-linux-gnu/lib $root/lib
printf '%s\t: %s\n' processor 0 Features 'fp asimd crc32 cpuid asimdhp asimddp' 'CPU implementer' 0x41 \
	'CPU architecture' 8 'CPU variant' 0x4 'CPU part' 0xd0b 'CPU revision' 1 '' >$root/proc/cpuinfo
for file in possible present; do echo 0 >$root/sys/devices/system/cpu/$file; done

emulator="qemu-aarch64 -L $root -plugin bin/count.so"
version=$(qemu-aarch64 --version | awk 'NR == 1 { print $3 }')
release=$(awk -F'"' '/"onnxruntime-node":/ { print $4 }' bench/onnxruntime/package.json)
compiler=$(aarch64-linux-gnu-gcc -dumpfullversion)
table=$(bin/bench-arm -native bin/bench-polyphon -worker bin/bench-polyphon-arm64 -emulator "$emulator" \
	-train bin/train -ort "bin/arm-ort $runtime" -product bin/arm-product)

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

Peers: ONNX Runtime $release for arm64 on the networks as \`train export --onnx\` writes them, and three loops in C,
which gcc $compiler vectorises (-O3 -ffast-math -mcpu=cortex-a76).

The product's inner loop, a tile of 6 rows by 16 columns over four steps of depth, has $all instructions: $products of
them multiply and add ($((100 * products / all)) %), $loads load. Each is four multiply-adds of floats, so that one of
those takes $(each $loads) loads of $(each $bytes) bytes in all.

Commit $(git describe --always --dirty=+), $(go version | awk '{ print $3 }'), \`bench/arm.sh count\`.
END
sed -n '/^<!-- arm -->$/,$p' bench/RESULTS.md
