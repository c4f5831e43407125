#!/usr/bin/env python3
"""Trains every network of bench/pinets/rows.py with several seeds, and writes RESULTS.md and curves.png beside this
file.

    bench/pinets/run.py --data DIR --work WORK         everything, about three hours on two cores
    bench/pinets/run.py ... --only "base;small"        some nets, the others' rows stay; --seeds 1 fewer seeds
    bench/pinets/run.py --work WORK --write            only writes what WORK has so far

DIR has the layout of Google Speech Commands. The same command goes on where it was stopped: WORK keeps checkpoints and
what has been measured. The test clips of a run are used once, when it has ended, for the epoch that the validation
clips chose.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

import table
from rows import EPOCHS, ROWS, WORDS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def call(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def measure(train, data, row, seed, threads, stem):
    """Trains one network, or goes on with it, and returns what was measured."""
    model, record = stem.with_suffix(".safetensors"), stem.with_suffix(".json")
    if record.exists():
        return json.loads(record.read_text())
    print(f"{row.net} {row.arch}, seed {seed}", file=sys.stderr, flush=True)
    log = stem.with_suffix(".csv")
    call(train, "fit", "--data", data, "--words", WORDS, "--arch", row.arch, "--stem", row.stem, "--stages", row.stages, *row.options,
         "--in-context", 0, "--epochs", EPOCHS, "--seed", seed, "--threads", threads, "--out", model, "--log", log, "--resume")
    found = {"net": row.net, "arch": row.arch, "seed": seed, "seconds": seconds(log)}
    for split in ("valid", "test"):
        report = json.loads(call(train, "eval", "--model", model, "--data", data, "--split", split, "--json"))
        found[split], found[split + "_clips"] = report["accuracy"], report["clips"]
    for line in call(train, "info", model).splitlines():
        name, _, value = line.partition("  ")
        if name in ("degree", "parameters", "MACs", "lookahead", "data", "epochs"):
            found[name] = value.strip()
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1))
    partial.replace(record)
    return found


def seconds(log):
    """Returns the seconds that a run's epochs took, validation included."""
    head, *lines = log.read_text().splitlines()
    columns = [head.split(",").index(name) for name in ("train_seconds", "valid_seconds")]
    return sum(float(line.split(",")[c]) for line in lines for c in columns)


def machine(threads):
    """Returns the machine and the programs that the figures were measured with."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    commit = call("git", "describe", "--always", "--dirty", cwd=ROOT).strip()
    return (f"{model[1] if model else platform.processor()}, {os.cpu_count()} cores, {threads} threads; "
            f"{call('go', 'env', 'GOVERSION', cwd=ROOT).strip()}; polyphon {commit}; {time.strftime('%Y-%m-%d')}")


def build(work, threads):
    """Returns the train program in WORK, one for all runs however often the command is started."""
    train = work / "train"
    if not train.exists():
        (work / "machine").write_text(machine(threads))
        call("go", "build", "-o", train, "./cmd/train", cwd=ROOT)
    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--work", type=pathlib.Path, required=True, metavar="WORK")
    parser.add_argument("--only", help="nets, or NET/ARCH, separated by semicolons")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true")
    o = parser.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    if not o.write:
        if o.data is None:
            parser.error("--data says where the recordings are")
        train = build(o.work, o.threads)
        for row in ROWS:
            if row.retired:
                continue
            if not o.only or {row.net, f"{row.net}/{row.arch}"} & set(o.only.split(";")):
                for seed in range(1, o.seeds + 1):
                    measure(train, o.data, row, seed, o.threads, o.work / f"{row.net}-{row.arch}-{seed}")
    found = [json.loads(p.read_text()) for p in sorted(o.work.glob("*.json"))]
    table.write(HERE / "RESULTS.md", found, (o.work / "machine").read_text())
    if {(f["net"], f["arch"]) for f in found} >= {(row.net, row.arch) for row in ROWS if not row.retired}:
        call("go", "run", "./bench/pinets/curves", o.work, HERE / "curves.png", cwd=ROOT)


if __name__ == "__main__":
    main()
