#!/usr/bin/env bash
# unseen.sh DATA WORK: measures words that a network was not trained on. A network like base is trained without these
# words, and without running speech, in which nobody has searched for them. DATA is as for background.sh, and has esc10;
# WORK keeps the network, and the script goes on where it stopped.
set -euo pipefail
data=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
cd "$(dirname "$0")/../.."
go build -o "$work/" ./cmd/train ./bench/enroll
labels=zero,one,two,three,four,five,eight,up,down,left,right,go,yes,no,on,off,stop
words=backward,bird,dog,forward,house,marvin,seven,six,visual
mkdir -p "$work/without"
for entry in "$data"/speech_commands/*; do
	name=$(basename "$entry")
	case ",$words," in *",$name,"*) continue ;; esac
	case $name in
	*.txt) grep -Ev "^(${words//,/|})/" "$entry" >"$work/without/$name" ;;
	*) ln -sfn "$entry" "$work/without/$name" ;;
	esac
done
if [ ! -e "$work/without.safetensors" ]; then
	"$work/train" fit --data "$work/without" --words $labels --unknown 0.2 --smoothing 0.05 --ema 0.998 --arch pi-relu \
		--noise "$data/esc10/fold1,$data/esc10/fold2" --in-context 0.6 --epochs 20 --patience 0 --from none \
		--no-calibrate --resume --out "$work/without.safetensors"
fi
"$work/enroll" measure --commands "$data/speech_commands" --speech "$data/speech" --words $words \
	--model "$work/without.safetensors" --results bench/enroll/unseen.csv
"$work/enroll" table --results bench/enroll/unseen.csv
