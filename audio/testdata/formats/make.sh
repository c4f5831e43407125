#!/usr/bin/env bash
# Makes the compressed sounds of this folder from examples/left.wav, and what reference decoders (oggdec, opusdec,
# ffmpeg for MP3) make of them, as 16-bit FLAC: NAME.EXT and NAME.EXT.flac. Encoders differ from version to version, so
# the files are kept.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
left=../../../examples/left.wav
sox -D "$left" -r 44100 "$work/stereo.wav" remix 1 1v0.5
sox -D "$left" -r 48000 "$work/48k.wav"
sox -D "$left" -r 22050 "$work/22k.wav"

keep() { # the reference of a file
	flac --silent --force --best --no-padding -o "$1.flac" "$2"
}
vorbis() {
	oggenc --quiet --quality "$1" --serial 7 -o "$2" "$3"
	oggdec --quiet -o "$work/out.wav" "$2"
	keep "$2" "$work/out.wav"
}
opus() {
	opusenc --quiet --bitrate "$1" --serial 7 "$3" "$2"
	opusdec --quiet --no-dither --rate 48000 "$2" "$work/out.wav"
	keep "$2" "$work/out.wav"
}
mp3() {
	lame --quiet "${@:3}" "$2" "$1"
	ffmpeg -loglevel error -y -i "$1" -c:a pcm_s16le "$work/out.wav"
	keep "$1" "$work/out.wav"
}
vorbis 2 mono.ogg "$left"
vorbis 5 stereo.ogg "$work/stereo.wav"
opus 12 speech.opus "$work/48k.wav"
opus 64 music.opus "$work/48k.wav"
flac --silent --force --ogg --serial-number 7 --best -o mono.oga "$left"
keep mono.oga "$left"
mp3 mono.mp3 "$left" -b 48
mp3 low.mp3 "$work/22k.wav" -b 32
mp3 stereo.mp3 "$work/stereo.wav" -V 4
mp3 plain.mp3 "$work/stereo.wav" -b 128 -t # no LAME tag
