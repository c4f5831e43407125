#!/usr/bin/env bash
# Compares ONNX Runtime's answers from exported models with polyphon's own, on 200 test clips of Speech Commands in the
# folder given, else on the examples; and, where Python has PyTorch, polyphon's answers from imported weights with
# PyTorch's. Needs Go and npm.
#
#     bench/onnx/check.sh [DIR]
set -euo pipefail
data=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd bench/onnxruntime && npm ci --ignore-scripts --no-audit --no-fund --silent)
go build -o "$work/" ./cmd/train ./bench/onnx
"$work/onnx" cases ${data:+-data "$data"} "$work"
for file in "$work"/*.safetensors; do
	model=${file%.safetensors}
	"$work/train" export --onnx "$model.onnx" "$file" >/dev/null
	"$work/train" export --onnx "$model.samples.onnx" --with-features "$file" >/dev/null
done
"$work/onnx" answers "$work"
node bench/onnx/check.js "$work"

python=${PYTHON:-/usr/bin/python3}
if "$python" -c 'import torch' 2>/dev/null; then
	"$python" bench/onnx/check_import.py "$work/train" "$work/onnx"
else
	echo "$python has no torch: the import of PyTorch weights was not checked" >&2
fi
