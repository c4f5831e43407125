#!/usr/bin/env python3
"""Removes the units that provably change nothing from the networks that regions.py has trained.

    bench/compression/exact.py --data DIR --work WORK [--milp 120]
    bench/compression/exact.py --work WORK --write

WORK is that of regions.py, of whose ReLU networks each gets a JSON file of what `train compress --exact` prints. Those
that are there are not made again. EXACT.md is written into the folder of --out.
"""
import json
import pathlib

import regions
from common import build, call, done, line, options, parser, record, spread

HEAD = """# Units that provably change nothing, of audio networks

`train compress --exact --depth {depth} --milp {milp:g}` of the networks of regions.py; mean (least to
most) of the seeds. All answers stay the same, on every clip of the data and at 10,000 random points of the box; the
largest difference of a logit is the last column. This file is written by `bench/compression/exact.py`.

{columns}
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
COLUMNS = ("network", "training", "seeds", "accuracy, %", "after", "removed units, %", "combinations",
           "stably active, %", "difference")


def measure(o, train, model):
    path = model.with_suffix(".exact.json")

    def run():
        small = model.with_suffix(".exact")
        return json.loads(call(train, "compress", "--model", model, "--data", regions.data(o), "--out", small,
                               "--exact", "--depth", o.depth, "--milp", o.milp, "--threads", o.threads, "--json"))

    record(path, run)


def row(net, variant, runs):
    def column(value, digits=1):
        return spread([value(given, exact, exact["units"]) for given, exact in runs], digits)

    return [
        net, variant, str(len(runs)),
        column(lambda given, exact, units: given["valid_accuracy"], 2),
        column(lambda given, exact, units: exact["valid_accuracy"], 2),
        column(lambda given, exact, units: 100 * units["removed"] / units["all"]),
        str(sum(exact["units"]["dependent"] for _, exact in runs)),
        column(lambda given, exact, units: 100 * units["active"] / units["rectified"]),
        f"{max(exact['max_logit_difference'] for _, exact in runs):.1g}",
    ]


def networks(o):
    """Yields the ReLU networks of regions.py: net, training, seed."""
    for net in regions.NETS:
        for variant in regions.variants(net):
            for seed in o.seeds:
                if net != "polynomial":
                    yield net, variant, seed


def write(o):
    found = {}
    for net, variant, seed in networks(o):
        for run in done([regions.stem(o, net, variant, seed).with_suffix(".exact.json")]):
            found.setdefault((net, variant), []).append(run)
    lines = [line(row(net, variant, runs)) for (net, variant), runs in found.items()]
    head = HEAD.format(depth=o.depth, milp=o.milp, columns=line(COLUMNS))
    (o.out / "EXACT.md").write_text(head + "\n".join(lines) + "\n")


def main():
    p = parser(__doc__)
    p.add_argument("--words", default=regions.WORDS)
    p.add_argument("--depth", type=int, default=4)
    p.add_argument("--milp", type=float, default=120)
    p.add_argument("--train", type=pathlib.Path, help="the train program; default: built in WORK")
    o = options(p)
    if not o.write:
        train = o.train or build(o.work.resolve(), o.threads)
        for net, variant, seed in networks(o):
            path = regions.stem(o, net, variant, seed)
            if path.with_suffix(".json").exists():
                measure(o, train, path.with_suffix(".safetensors"))
    write(o)


if __name__ == "__main__":
    main()
