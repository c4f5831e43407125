#!/usr/bin/env python3
"""Trains with several settings on kinds of data made from the recordings, and writes RESULTS.md beside this file.

    bench/recipe/run.py --data DIR --work WORK                     everything that WORK does not have yet
    bench/recipe/run.py ... --only words10,esc10 --variants default some of it; --seeds 1 fewer seeds
    bench/recipe/run.py --work WORK --write                        only writes what WORK has

DIR has speech_commands and esc10. Held-out clips are of speakers, or a fold, that training does not have. Runs are made
one at a time with --threads threads; each result is kept in WORK, so that the same command goes on where it stopped.
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys

from rows import SETS, VARIANTS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def make(name, data, work):
    """Makes the folders of a kind of data out of links, once, and returns them."""
    folder = work / "data" / name
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        SETS[name].make(data, partial, random.Random(name))
        partial.rename(folder)
    return folder / "train", folder / "heldout"


def run(program, name, variant, seed, args):
    """Trains and measures once, and returns the result."""
    record = args.work / "runs" / f"{name} {variant} {seed}.json"
    if record.exists():
        return json.loads(record.read_text())
    train, heldout = make(name, args.data, args.work)
    options, config = VARIANTS[variant]
    command = [program, "-data", train, "-heldout", heldout, "-threads", str(args.threads), *options, "-config",
               json.dumps({**config, "seed": seed})]
    out = subprocess.run(["nice", "-n", "5", *map(str, command)], check=True, text=True, stdout=subprocess.PIPE).stdout
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(".partial")
    partial.write_text(out)
    partial.rename(record)
    found = json.loads(out)
    print(f"{name:12} {variant:24} {seed}  {found['accuracy']:6.2f} {found['balanced']:6.2f} %  "
          f"valid {found['valid']:.1f} of {found['valid_clips']}  epoch {found['best']} of {found['epochs']}  "
          f"{found['seconds']:.0f} s", file=sys.stderr, flush=True)
    return found


def write(work, path):
    """Writes the table of all results that WORK has."""
    rows = {}
    for record in sorted((work / "runs").glob("*.json")):
        name, variant, _ = record.stem.split(" ")
        rows.setdefault((name, variant), []).append(json.loads(record.read_text()))
    lines = ["# Recipes on kinds of data", "", "`bench/recipe/run.py` writes this file. Accuracy of held-out clips, "
             "mean recall of their labels, in percent: mean over the seeds and the lowest of them; seconds are of "
             "one run on one thread, beside other work.", ""]
    for name, kind in SETS.items():
        found = {v: r for (n, v), r in rows.items() if n == name}
        if not found:
            continue
        lines += [f"## {name}: {kind.what}", "", "| settings | accuracy | balanced | seeds | parameters | seconds |",
                  "| --- | --- | --- | --- | --- | --- |"]
        for variant in VARIANTS:
            if r := found.get(variant):
                mean = [sum(x[k] for x in r) / len(r) for k in ("accuracy", "balanced", "seconds")]
                low = [min(x[k] for x in r) for k in ("accuracy", "balanced")]
                lines.append(f"| {variant} | {mean[0]:.1f} ({low[0]:.1f}) | {mean[1]:.1f} ({low[1]:.1f}) | {len(r)} | "
                             f"{r[0]['parameters']:,} | {mean[2]:.0f} |")
        lines.append("")
    path.write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--only", default=",".join(SETS))
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if not args.write:
        program = args.work / "recipe"
        subprocess.run(["nice", "-n", "5", "go", "build", "-o", program, "./bench/recipe"], check=True, cwd=ROOT)
        for seed in range(1, args.seeds + 1):
            for name in args.only.split(","):
                for variant in args.variants.split(","):
                    run(program, name, variant, seed, args)
    write(args.work, HERE / "RESULTS.md")


if __name__ == "__main__":
    main()
