#!/usr/bin/env python3
"""Writes words spoken by speech synthesisers to DIR/WORD/*.wav, for `train fit --extra DIR`.

    bench/pinets/synthesise.py DIR

The recordings have twenty clips of each of nineteen other words. Here are those that sound like a word of the
models, and common ones,
which become _unknown_, and the words themselves, lest a synthesiser's voice alone means _unknown_. Words that
sound the same as one of
the models' (to, for, won, ate, know, write) are left out. Needs the programs flite and espeak-ng. The same
clips are written each time.
"""
import pathlib
import random
import subprocess
import sys

WORDS = "zero one two three four five eight up down left right go yes no on off stop"
NEAR = """
hero sorrow arrow narrow borrow zebra zone zoo wine want wonder run gun fun son sun done wand do you new
through tune true chew tooth
few view free tree threw thread see tea fee through thick theme forward forest fall floor more door fork force
form north
fire fight find hive live dive fine knife life fifty fifteen forty late ape age hate date aid great weight
wait ace cup pop app hub cop
shop puppy happy supper town dawn brown gown round drown noun crowd lift let loft laughed leaf less lest lend
theft light ride rate
ripe night white bright wrote tight height rice goal grow gold ghost goat low so show girl good yet yesterday
guess less
jazz mess us chess yeast now note nose known not snow nor noon mow own an in onto and aunt won't orange honest
hot of often
office awful cough soft dog loft laugh step stock stuff top stub start shop spot stomp store stuck strap star stone
"""
COMMON = """
time year people way day man thing woman child world school state family student group country problem hand
part place case week
company system program question work government number point home water room mother area money story fact
month lot study book job
word business issue side kind head house service friend father power hour game line end member law car city
community name president
team minute idea body information back parent face others level office health person art war history party
result change morning
reason research moment air teacher education please thank hello because before after always never maybe little
other about would there
their which could first been call who oil sit find long get come made may over sound take only very open close
turn volume music play
pause next table window kitchen garden summer winter paper bottle coffee breakfast red blue green yellow black
hundred thousand million
bed bird cat tree follow forward backward learn visual sheila marvin wow seven six nine
"""
FLITE = ["slt", "rms", "awb", "kal16"]
ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan"]
VARIANTS = ["m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "klatt2", "Andrea", "Annie", "Denis", "Lee", "Mike"]


def flite(word, path, rng):
    voice = rng.choice(FLITE)
    stretch, pitch = rng.uniform(0.8, 1.25), rng.uniform(0.85, 1.2)
    mean = {"slt": 170, "rms": 100, "awb": 120, "kal16": 105}[voice] * pitch
    run("flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}",
        "--setf", f"int_f0_target_mean={mean:.0f}", "-t", word, "-o", path)


def espeak(word, path, rng):
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
    run("espeak-ng", "-v", voice, "-s", rng.randint(120, 200), "-p", rng.randint(25, 75), "-w", path, word)


def run(*command):
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    folder = pathlib.Path(sys.argv[1])
    words = {w: 30 for w in WORDS.split()}
    for text, clips in ((NEAR, 8), (COMMON, 4)):
        for w in text.replace("-", " ").split():
            words.setdefault(w, clips)
    for word, clips in words.items():
        (folder / word).mkdir(parents=True, exist_ok=True)
        for i in range(clips):
            path = folder / word / f"synthesised{i:02}_{word}.wav"
            if not path.exists():
                (flite if i % 2 == 0 else espeak)(word, path, random.Random(path.name))


if __name__ == "__main__":
    main()
