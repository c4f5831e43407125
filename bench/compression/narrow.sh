#!/usr/bin/env bash
# narrow.sh DATA WORK: trains a network of 26 thousand parameters on six words of Google Speech Commands in DATA with
# three seeds, makes its weights int8 and ternary in several ways, and prints a line for each: mean accuracies on
# validation and test clips, and the errors of all seeds. Models that are in WORK are not made again.
set -euo pipefail
data=$(realpath "$1") work=$2
mkdir -p "$work"
train=$work/train
(cd "$(dirname "$0")/../.." && go build -o "$(realpath "$work")/train" ./cmd/train)
recipe=(--data "$data" --words yes,no,up,down,left,right --unknown 0 --silence 0 --in-context 0 --window 1 --mixup 0
	--balance 0.5 --patience 0 --no-calibrate --epochs 14
	--arch pi-relu --stem 24:5:1:1 --stages 24:2:3:1:2,32:2:3:0:2)
on=(--from-rate 1 --from-norms new --taught 0.5 --lr 0.1 --decay 1e-4 --ema 0.99 --warmup 0.5)

# make NAME SEED COMMAND...: runs train COMMAND unless there is a model.
make() {
	local out=$work/$1-$2.safetensors
	[ -s "$out" ] || "$train" "${@:3}" --seed "$2" --out "$out" >"$out.log" 2>&1
}

for seed in 1 2 3; do
	net=$work/float32-$seed.safetensors
	small=(compress --data "$data" --silence 0 --model)
	make float32 $seed fit "${recipe[@]}"
	make float32-on $seed fit "${recipe[@]}" "${on[@]}" --from "$net" --teacher "$net"
	make int8 $seed "${small[@]}" "$net" --int8
	make rounded $seed "${small[@]}" "$net" --ternary --ends narrow --calibration 1024
	make conntra $seed "${small[@]}" "$net" --ternary --ends narrow --refine conntra --calibration 2048 --budget 2m
	make conntra-alone $seed "${small[@]}" "$work/rounded-$seed.safetensors" --refine conntra --calibration 1024 \
		--budget 90s
	make ste $seed fit "${recipe[@]}" "${on[@]}" --from "$net" --teacher "$net" --weights ternary --ends narrow
	make scratch $seed fit "${recipe[@]}" --epochs 20 --weights ternary --ends narrow --ema 0.99
done

for name in float32 float32-on int8 rounded conntra-alone conntra ste scratch; do
	for seed in 1 2 3; do
		for split in valid test; do
			"$train" eval --model "$work/$name-$seed.safetensors" --data "$data" --split $split --silence 0 --json \
				2>/dev/null | jq -r "\"$split \" + (.accuracy | tostring) + \" \" + (.clips | tostring)"
		done
	done | awk -v name=$name '{ sum[$1] += $2; errors += (100 - $2) / 100 * $3; clips += $3 }
		END { printf "%-14s valid %.2f %%  test %.2f %%  errors %.0f of %d\n",
			name, sum["valid"] / 3, sum["test"] / 3, errors, clips }'
done
