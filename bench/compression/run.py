#!/usr/bin/env python3
"""Accuracy against multiply-adds of networks from which channels were removed, by each rule at the same budget and the
same extra epochs.

    run.py --train ./train --model M --data DIR [--epochs 10] [--seeds 1,2,3] [--shares 1,0.7,0.5,0.3] [--out runs]

Each run is a JSON file in the folder of --out; those that are there are not run again, so that a run that was
interrupted goes on where it was. A share of 1 is the given model, trained on as long as the others. At the end,
RESULTS.md has the table, means of the seeds with their range.
"""

import argparse
import json
import pathlib
import subprocess

RULES = ["similarity", "moments", "random", "scale", "magnitude"]


def run(o, rule, fold, share, seed):
    """Returns the stages of one run: the given model, the smaller one, and the one that was trained on."""
    path = pathlib.Path(o.out) / f"{rule}-{fold}-{share}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    model = path.with_suffix(".safetensors")
    command = [o.train, "compress", "--model", o.model, "--data", o.data, "--out", model, "--json",
               "--threads", o.threads]
    if share < 1:
        command += ["--similar", "--macs", share, "--by", rule, "--fold", fold, "--lanes", o.lanes]
    if o.epochs:
        command += ["--finetune", o.epochs]
    command += ["--seed", seed]
    text = subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    path.with_suffix(".part").write_text(text)
    path.with_suffix(".part").rename(path)
    return json.loads(text)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--train", default="train")
    p.add_argument("--model", default="small")
    p.add_argument("--data", required=True)
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--shares", default="1,0.7,0.5,0.3")
    p.add_argument("--lanes", type=int, default=8)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--out", default="runs")
    o = p.parse_args()
    pathlib.Path(o.out).mkdir(parents=True, exist_ok=True)
    seeds = [int(s) for s in o.seeds.split(",")]
    lines = [
        f"`{o.model}`, {o.epochs} more epochs, seeds {o.seeds}: validation accuracy in percent, mean (least to most).",
        "",
        "| rule | others | share of multiply-adds | before training on | after | time of a clip |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for share in [float(s) for s in o.shares.split(",")]:
        rules = [(r, f) for r in RULES for f in ("all", "none")] if share < 1 else [("given", "all")]
        for rule, fold in rules:
            results = [run(o, rule, fold, share, seed) for seed in seeds]
            given, small, last = [[r[i] for r in results] for i in (0, min(1, len(results[0]) - 1), -1)]
            before = given if share == 1 else small

            def accuracy(stages):
                values = [s["valid_accuracy"] for s in stages]
                return f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"

            clip = sum(s["clip_seconds"] for s in last) / sum(s["clip_seconds"] for s in given)
            macs = last[0]["macs"] / given[0]["macs"]
            folded = "folded" if fold == "all" else "left out"
            lines.append(f"| {rule} | {folded} | {macs:.3f} | {accuracy(before)} | {accuracy(last)} | {clip:.2f} |")
            (pathlib.Path(o.out) / "RESULTS.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
