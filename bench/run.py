#!/usr/bin/python3
"""Runs polyphon and its peers in turn, A B A B, on this machine, and writes the table bench/RESULTS.md.

    bench/run.py --data DIR [--rounds 3] [--threads 2]

DIR has the layout of Google Speech Commands. Needs Go, and Debian's python3-torch and python3-torchaudio, whose Python runs
this script. Nothing else should run meanwhile.
"""
import argparse
import csv
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torchaudio

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
WORDS = "zero,one,two,three,four,five,eight,up,down,left,right,go,yes,no,on,off,stop"
CLIPS = 1000


def run(command, **options):
    """Runs a command and returns (seconds of wall time, stdout, stderr)."""
    started = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{command} failed:\n{err}")
    return seconds, out, err


def peak_memory(command):
    """Returns a command's resident memory at its peak, in MB. A small process starts it: a child is born with its
    parent's peak."""
    watch = ("import os, sys, subprocess, resource; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    _, out, _ = run(["/usr/bin/python3", "-S", "-c", watch, *command])
    return int(out) / 1024


def spread(values):
    return f"{statistics.median(values):.3g} ({min(values):.3g}-{max(values):.3g})"


class Table:
    def __init__(self):
        self.rows = []

    def compare(self, what, unit, ours, peer_name, peers):
        ratio = statistics.median(peers) / statistics.median(ours)
        self.rows.append(f"| {what} | {unit} | {spread(ours)} | {peer_name} {spread(peers)} | {ratio:.2f} |")
        print(self.rows[-1], flush=True)

    def single(self, what, unit, ours):
        self.rows.append(f"| {what} | {unit} | {spread(ours)} | | |")
        print(self.rows[-1], flush=True)


def clips_folder(data, folder):
    """Links CLIPS test and validation clips into a folder of their own."""
    names = []
    for split in ("testing_list.txt", "validation_list.txt"):
        names += (data / split).read_text().split()
    for i, name in enumerate(names[:CLIPS]):
        os.symlink(data / name, folder / f"{i:04d}.wav")
    return folder


def bench_folder(table, args, classify, work):
    """A folder of clips to labels: start, reading the files, features, network, output."""
    folder = work / "clips"
    folder.mkdir()
    clips_folder(args.data, folder)
    ours, peers = [], []
    answers = {}
    for _ in range(args.rounds):
        seconds, out, _ = run([classify, "--threads", args.threads, "--format", "csv", folder])
        ours.append(seconds)
        answers["ours"] = {r[0]: r[3] for r in csv.reader(out.splitlines()[1:])}
        _, out, err = run(["/usr/bin/python3", HERE / "pytorch/classify.py", "--model", args.model, "--threads", args.threads, folder])
        peers.append(float(re.search(r"in ([\d.]+) s", err).group(1)))
        answers["peer"] = {r[0]: r[1] for r in csv.reader(out.splitlines())}
    table.compare(f"folder of {CLIPS} clips of 1 s, files to labels (the peer's start-up not counted)", "s", ours,
                  "PyTorch + torchaudio, batch 1", peers)
    same = sum(answers["ours"][k] == answers["peer"].get(k) for k in answers["ours"])
    print(f"labels agree on {same} of {len(answers['ours'])} clips", flush=True)
    return f"The two give the same label on {same} of {len(answers['ours'])} clips."


def bench_start(table, args, classify):
    """One clip, from process start to label."""
    clip = ROOT / "examples/left.wav"
    run([classify, clip])
    table.single("one clip of 1 s, process start to label", "ms", [1000 * run([classify, clip])[0] for _ in range(20)])
    table.single("the same, resident memory at its peak", "MB", [peak_memory([classify, clip]) for _ in range(5)])


def bench_epoch(table, args, train, work):
    """A training epoch: augmentation, features, network, optimiser; the second epoch, when files are in memory."""
    ours, peers = [], []
    for _ in range(args.rounds):
        log = work / "log.csv"
        run([train, "fit", "--data", args.data, "--words", WORDS, "--epochs", 2, "--warmup", 1, "--threads", args.threads,
             "--out", work / "m.safetensors", "--log", log])
        ours.append(float(list(csv.DictReader(log.open()))[-1]["train_seconds"]))
        _, out, _ = run(["/usr/bin/python3", HERE / "pytorch/fit.py", "--data", args.data, "--epochs", 2, "--warmup", 1,
                         "--threads", args.threads])
        peers.append(float(re.findall(r"epoch +\d+ +([\d.]+) s", out)[-1]))
    table.compare("training epoch, the default network and recipe, batch 100", "s", ours, "PyTorch", peers)


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def version(command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/base.safetensors")
    parser.add_argument("--only", choices=("folder", "start", "epoch"))
    args = parser.parse_args()
    args.data = args.data.resolve()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        for name in ("classify", "train"):
            subprocess.run(["go", "build", "-o", work / name, f"./cmd/{name}"], cwd=ROOT, check=True)
        table, notes = Table(), []
        if args.only in (None, "start"):
            bench_start(table, args, work / "classify")
        if args.only in (None, "folder"):
            notes.append(bench_folder(table, args, work / "classify", work))
        if args.only in (None, "epoch"):
            bench_epoch(table, args, work / "train", work)
        if args.only is None:
            write(table, notes, args)
    finally:
        shutil.rmtree(work)


def write(table, notes, args):
    head = [
        "# Results", "",
        f"`bench/run.py --rounds {args.rounds} --threads {args.threads}` at commit {version(['git', 'rev-parse', '--short', 'HEAD'])}; "
        f"{processor()}, {os.cpu_count()} cores; {version(['go', 'version']).split()[2]}; "
        f"PyTorch {torch.__version__}, torchaudio {torchaudio.__version__}; {args.threads} threads on both sides.", "",
        "Median (least-greatest). The ratio is the peer's time by polyphon's: above 1, polyphon is faster.", "",
        "| what | unit | polyphon | peer | ratio |", "| --- | --- | --- | --- | --- |",
    ]
    (HERE / "RESULTS.md").write_text("\n".join(head + table.rows + [""] + notes) + "\n")


if __name__ == "__main__":
    main()
