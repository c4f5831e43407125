#!/usr/bin/env python3
"""Runs the scripts beside this file on a few synthetic tones, those with pictures twice, and checks that tables and
pictures come out and that the second time measures nothing again. Takes a minute; the figures mean nothing.

    bench/compression/check.py
"""
import array
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import wave

HERE = pathlib.Path(__file__).resolve().parent
RATE = 16000


def tones(folder, words, clips):
    """Writes a data set of words that are tones of different pitch."""
    rng = random.Random(1)
    for k, word in enumerate(words):
        (folder / word).mkdir(parents=True)
        for i in range(clips):
            hertz = 300 * 2 ** k * rng.uniform(0.95, 1.05)
            samples = [int(9000 * math.sin(2 * math.pi * hertz * t / RATE) + rng.gauss(0, 600))
                       for t in range(3 * RATE // 10)]
            with wave.open(str(folder / word / f"{chr(97 + i)}{word}.wav"), "wb") as f:
                f.setnchannels(1)
                f.setsampwidth(2)
                f.setframerate(RATE)
                f.writeframes(array.array("h", samples).tobytes())


def call(*command):
    print(" ".join(map(str, command)), file=sys.stderr, flush=True)
    result = subprocess.run([str(c) for c in command], stderr=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f"status {result.returncode}: {result.stderr}")
    return result.stderr


def check(script, names, table, rows, picture, out, *options):
    """Runs a script twice: it names what it measures the first time alone."""
    command = (sys.executable, "-B", HERE / script, "--out", out, *options)
    for again in (False, True):
        printed = call(*command).splitlines()
        if [n for n in names if (n in printed) == again]:
            sys.exit(f"{script} measured {printed}, {'nothing more' if again else names} was expected")
    lines = (out / table).read_text().splitlines()
    found = sum(line.startswith("| ") for line in lines)
    if found != rows or "<svg" not in (out / picture).read_text():
        sys.exit(f"{table} has {found} rows instead of {rows}, or {picture} is none")


def main():
    with tempfile.TemporaryDirectory() as name:
        base = pathlib.Path(name)
        data, out, work = base / "tones", base / "out", base / "work"
        tones(data, ("low", "mid", "high"), 16)
        work.mkdir()
        train = work / "train"
        call("go", "build", "-C", HERE.parents[1], "-o", train, "./cmd/train")
        (work / "machine").write_text("")
        model = base / "model.safetensors"
        call(train, "fit", "--data", data, "--out", model, "--stem", "8:3:1:2", "--stages", "16:1:3:1:2", "--epochs", 3,
             "--augment", "none", "--in-context", 0)
        names = [f"{rule}-60-{seed}" for rule in ("similarity-all", "moments-all", "random-none", "scale-none",
                                                  "magnitude-none") for seed in (1, 2)] + ["given-all-100-2", "latency"]
        check("run.py", names, "RESULTS.md", 8, "accuracy.svg", out, "--model", model, "--data", data, "--work", work,
              "--epochs", 1, "--seeds", "1,2", "--shares", "1,0.6", "--lanes", 2)
        names = ["rows-plain-1", "rows-L1_1e-3-2", "layers-plain-2", "polynomial-plain-1"]
        check("regions.py", names, "REGIONS.md", 10, "regions.svg", out, "--data", data, "--work", work, "--words",
              "low,high", "--epochs", 1, "--seeds", "1,2", "--lines", 2, "--most", 100, "--variants", "plain;L1 1e-3")
        for name, rows, options in (
            ("exact", 6, ("--milp", 5)),
            ("certify", 7, ("--clips", 2, "--points", 100, "--changes", "0.1:0.001")),
            ("shallow", 6, ("--epochs", 1, "--seeds", 1, "--windows", 100)),
        ):
            call(sys.executable, "-B", HERE / f"{name}.py", "--out", out, "--data", data, "--work", work, "--words",
                 "low,high", *options)
            table = (out / f"{name.upper()}.md").read_text().splitlines()
            if (found := sum(line.startswith("| ") for line in table)) != rows:
                sys.exit(f"{name.upper()}.md has {found} rows instead of {rows}")
        print("all scripts work")


if __name__ == "__main__":
    main()
