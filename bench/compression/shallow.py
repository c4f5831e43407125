#!/usr/bin/env python3
"""Approximates small ReLU networks, trained on sound with and without an L1 penalty, by such of two hidden layers.

    bench/compression/shallow.py --data DIR --work WORK [--seeds 1,2,3] [--epochs 30]
    bench/compression/shallow.py --work WORK --write

WORK may be that of regions.py, as which it trains. Each network gets a JSON file in WORK of what `train compress
--shallow` prints, and is not approximated again. SHALLOW.md is written into the folder of --out.
"""
import json
import re

import regions
from common import build, call, done, line, options, parser, record, spread

NETS = {  # units of a row's network: the stem's, the first convolution's of the block and the block's
    "3 + 2 + 2": ("--arch", "relu", "--stem", "3:15:7:4", "--stages", "2:1:1:0:1"),
    "4 + 4 + 4": ("--arch", "relu", "--stem", "4:15:7:4", "--stages", "4:1:1:0:1"),
}
VARIANTS = ("plain", "L1 2e-3")
STEEPNESS = (10, 100, 1000, 10000)
HEAD = """# Networks of two hidden layers instead

`train compress --shallow --most {most}` of networks that were trained as those of regions.py, for {epochs}
epochs; seeds {seeds}: mean (least to most). Patterns are all that a row's network has, functions the different
linear ones among them. Exact means within 1e-4 of the largest logit (and of 1): the share of {windows} random windows
of the box at the steepness above, and of the calibration clips as the network that is written, in float32, at
steepness 1,000. This file is written by `bench/compression/shallow.py`.

{columns}
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
COLUMNS = ("units", "training", "validation accuracy, %", "patterns", "functions", "units of both layers",
           *(f"exact at {s:,}, %" for s in STEEPNESS), "clips, %")


def stem(o, net, variant, seed):
    return regions.stem(o, "shallow-" + net.replace(" ", ""), variant, seed)


def measure(o, train, net, variant, seed):
    path = stem(o, net, variant, seed)

    def run():
        model = path.with_suffix(".safetensors")
        regions.fit(o, train, model, NETS[net], seed, *regions.VARIANTS[variant])
        return json.loads(call(train, "compress", "--model", model, "--data", regions.data(o), "--out",
                               path.with_suffix(".shallow"), "--shallow", "--most", o.most, "--windows", o.windows,
                               "--threads", o.threads, "--json"))

    record(path.with_suffix(".json"), run)


def figures(stages):
    """Returns what a run printed, as numbers."""
    given, shallow = stages
    text = "\n".join((shallow["done"], *shallow["lines"]))
    patterns, first, second = map(int, re.search(
        r"(\d+) patterns of \d+ units.* two hidden layers of (\d+) and (\d+) units", text).groups())
    return {
        "accuracy": given["valid_accuracy"], "patterns": patterns, "units": first + second,
        "functions": int(re.search(r"(\d+) linear functions", text)[1]),
        "clips": float(re.search(r"float32: ([\d.]+) % of", text)[1]),
        **{s: float(re.search(rf"steepness {s}: ([\d.]+) % of", text)[1]) for s in STEEPNESS},
    }


def write(o):
    lines = []
    for net in NETS:
        for variant in VARIANTS:
            files = [stem(o, net, variant, seed).with_suffix(".json") for seed in o.seeds]
            if runs := [figures(run) for run in done(files)]:
                columns = [("accuracy", 2), ("patterns", 0), ("functions", 0), ("units", 0),
                           *((s, 2) for s in STEEPNESS), ("clips", 2)]
                cells = [net, variant, *(spread([r[name] for r in runs], digits) for name, digits in columns)]
                lines.append(line(cells))
    head = HEAD.format(most=o.most, epochs=o.epochs, seeds=", ".join(map(str, o.seeds)), windows=o.windows,
                       columns=line(COLUMNS))
    (o.out / "SHALLOW.md").write_text(head + "\n".join(lines) + "\n")


def main():
    p = parser(__doc__)
    p.add_argument("--words", default=regions.WORDS)
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--most", type=int, default=5000)
    p.add_argument("--windows", type=int, default=10000)
    o = options(p)
    if not o.write:
        train = build(o.work.resolve(), o.threads)
        for seed in o.seeds:
            for net in NETS:
                for variant in VARIANTS:
                    measure(o, train, net, variant, seed)
    write(o)


if __name__ == "__main__":
    main()
