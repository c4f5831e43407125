#!/usr/bin/env bash
# background.sh DATA: makes the backgrounds of the embedded models again, which package enroll embeds, after one of them
# has changed. DATA has speech_commands (Google Speech Commands) and speech/train (running speech, such as LibriSpeech).
set -euo pipefail
data=$(realpath "$1")
cd "$(dirname "$0")/../.."
for model in base small tiny; do
	go run ./bench/enroll background --commands "$data/speech_commands" --speech "$data/speech" --model "$model" \
		--out "enroll/$model.background"
done
