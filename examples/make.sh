#!/usr/bin/env bash
# Makes the example clips with the speech synthesiser flite and sox (Debian: flite sox).
set -euo pipefail
cd "$(dirname "$0")"
say() { # file voice text
	flite -voice "$2" -t "$3" -o /tmp/example.$$.wav
	# One second, the word in its middle, a little room noise, at a microphone's level.
	sox -R -D /tmp/example.$$.wav -r 16000 -c 1 -b 16 /tmp/word.$$.wav silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse norm -6
	length=$(soxi -D /tmp/word.$$.wav)
	pad=$(awk "BEGIN { print (1 - $length) / 2 }")
	sox -R -D -n -r 16000 -c 1 -b 16 /tmp/noise.$$.wav synth 1 brownnoise vol 0.01
	sox -R -D /tmp/word.$$.wav /tmp/padded.$$.wav pad "$pad" "$pad"
	sox -R -D -m -v 1 /tmp/padded.$$.wav -v 1 /tmp/noise.$$.wav -b 16 "$1"
	rm /tmp/example.$$.wav /tmp/word.$$.wav /tmp/noise.$$.wav /tmp/padded.$$.wav
}
say left.wav slt left
say yes.wav rms yes
say stop.wav awb stop
say happy.wav slt happy # none of the words that the embedded model knows
