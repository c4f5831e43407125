#!/usr/bin/env python3
"""Measures models on recordings from elsewhere: the test clips through telephones, codecs, a room and a toy's
loudspeaker, by sox and ffmpeg, and the words in synthetic voices (espeak-ng). Training's augmentation uses none of
these. Writes ELSEWHERE.md beside this file.

    bench/pinets/elsewhere.py --data DIR --work WORK [MODEL ...]

DIR has the layout of Google Speech Commands. Without models, the embedded ones are measured. What was made in WORK is
used again. Needs sox with its formats, ffmpeg and espeak-ng: apt-get install sox libsox-fmt-all ffmpeg espeak-ng.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys

from rows import WORDS
from run import ROOT, call, machine

# What happens to a clip, from $in to $out.
THROUGH = {
    "a telephone: 300–3400 Hz, 8 kHz µ-law (G.711)": 'sox -D "$in" -r 8000 -c 1 -e u-law "$out" sinc 300-3400',
    "a GSM telephone (06.10, 13 kbit/s)": 'sox -D "$in" -r 8000 -c 1 -t gsm - sinc 300-3400 | sox -D -t gsm - -e signed -b 16 "$out"',
    "Opus at 8 kbit/s": 'ffmpeg -v error -i "$in" -c:a libopus -b:a 8k -f ogg - | ffmpeg -v error -y -i - -ar 48000 "$out"',
    "MP3 at 16 kbit/s": 'ffmpeg -v error -i "$in" -c:a libmp3lame -b:a 16k -f mp3 - | ffmpeg -v error -y -i - "$out"',
    "a reverberant room": 'sox -D "$in" "$out" gain -6 reverb 60 50 80 gain -n -6',
    "a toy's loudspeaker: resonant, overdriven, no bass": 'sox -D "$in" "$out" highpass 350 equalizer 1400 1.5q 9 equalizer 3200 2q 6 overdrive 12 lowpass 5000 gain -n -9',
}
VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-us+f2", "en-us+f4", "en-gb+f5", "en-us+m2", "en-gb+m4", "en-us+m7", "en-gb-x-rp+f3")


def apply(job):
    command, source, target = job
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, env={**os.environ, "in": str(source), "out": str(target)})


def send(data, folder, command):
    """Makes a copy of the data's test part in which every recording went through command."""
    if (folder / ".complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    test = data / "testing_list.txt"
    names = test.read_text().split() + [str(p.relative_to(data)) for p in sorted(data.glob("_background_noise_/*.wav"))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(apply, [(command, data / name, folder / name) for name in names]))
    shutil.copy(test, folder)
    (folder / ".complete").touch()


def speak(folder):
    """Speaks each word in each voice, slowly and quickly."""
    if (folder / ".complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for word in WORDS.split(","):
        (folder / word).mkdir(parents=True)
        for voice in VOICES:
            for pace in (130, 175):
                call("espeak-ng", "-v", voice, "-s", pace, "-w", folder / word / f"{voice}-{pace}.wav", word)
    (folder / ".complete").touch()


def accuracy(train, model, data, split):
    options = ["--model", model] if model else []
    return json.loads(call(train, "eval", *options, "--data", data, "--split", split, "--json"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=pathlib.Path, required=True, metavar="WORK")
    parser.add_argument("models", nargs="*", default=["base", "small"])
    o = parser.parse_args()
    train = o.work / "train"
    o.work.mkdir(parents=True, exist_ok=True)
    call("go", "build", "-o", train, "./cmd/train", cwd=ROOT)
    cases = [("as recorded", o.data, "test")]
    for i, (name, command) in enumerate(THROUGH.items()):
        print(name, file=sys.stderr, flush=True)
        send(o.data, o.work / f"through-{i}", command)
        cases.append((name, o.work / f"through-{i}", "test"))
    speak(o.work / "voices")
    cases.append((f"{len(VOICES)} synthetic voices, words alone", o.work / "voices", "all"))
    lines = ["| recorded through | clips | " + " | ".join(f"`{pathlib.Path(m).stem}`, %" for m in o.models) + " |", "| --- | --- |" + " --- |" * len(o.models)]
    for name, folder, split in cases:
        found = [accuracy(train, m, folder, split) for m in o.models]
        lines.append(f"| {name} | {found[0]['clips']} | " + " | ".join(f"{f['accuracy']:.2f}" for f in found) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    table = "\n".join(lines)
    head = f"# Recordings from elsewhere\n\n{__doc__.split(chr(10) * 2)[0]}\n\n{machine(os.cpu_count())}\n\n"
    (pathlib.Path(__file__).parent / "ELSEWHERE.md").write_text(head + table + "\n")


if __name__ == "__main__":
    main()
