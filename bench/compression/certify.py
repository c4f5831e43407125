#!/usr/bin/env python3
"""Certifies answers of the networks that regions.py has trained.

    bench/compression/certify.py --data DIR --work WORK [--clips 20] [--changes "1:0.02;3:0.1"]
    bench/compression/certify.py --work WORK --write

WORK is that of regions.py, of whose networks each gets a JSON file of what `train certify` prints, for each change of
the gain and of the log-mel values in decibels. Those that are there are not made again. CERTIFY.md is written into the
folder of --out.
"""
import json

import regions
from common import build, call, done, line, options, parser, record, spread

HEAD = """# Certified answers

`train certify --split valid --clips {clips} --points {points}` of the networks of regions.py, {clips} validation clips
each: shares of clips in percent, mean (least to most) of the seeds. Certified: proved that no change of the gain
within ± the first and then of each log-mel value within ± the second figure, in decibels, changes the answer. Attacked:
one that does was found by projected gradient descent. Each proof was checked by the attacks and at {points} random
changes, and none was contradicted: `train certify` ends with an error otherwise. "Intervals by linear" is how many
times wider the first clip's logits are by interval arithmetic than by linear bounds, over the gains and the noise that
are certified, and over the noise alone: the least of the seeds. "By reached" is how many times wider linear bounds are
than what changes that were found reach, the most of the seeds: at 1.00, no sound bounds can be tighter. This file is
written by `bench/compression/certify.py`.

{columns}
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
COLUMNS = ("network", "training", "seeds", "gain, noise", "certified", "and right", "open", "attacked",
           "intervals by linear", "by reached", "of noise alone", "by reached")


def file(o, which, change):
    return regions.stem(o, *which).with_suffix(f".certify-{change.replace(':', '-').replace('.', '_')}.json")


def measure(o, train, which, change):
    gain, noise = change.split(":")
    model = regions.stem(o, *which).with_suffix(".safetensors")
    record(file(o, which, change), lambda: json.loads(call(
        train, "certify", "--model", model, "--data", regions.data(o), "--split", "valid", "--clips", o.clips,
        "--points", o.points, "--gain", gain, "--noise", noise, "--threads", o.threads, "--json")))


def row(net, variant, change, runs):
    def column(name):
        return spread([100 * r[name] / r["clips"] for r in runs], 0)

    def ratios(over):
        found = [r["widths"][over] for r in runs if over in r["widths"]]
        return [""] * 2 if not found else [f"{min(w['interval_width'] / w['linear_width'] for w in found):.3g}",
                f"{max(w['linear_width'] / w['reached_width'] for w in found):.2f}"]

    return [net, variant, str(len(runs)), "±{} dB, ±{} dB".format(*change.split(":")), column("certified"),
            column("certified_right"), column("open"), column("attacked"), *ratios("gain_and_noise"), *ratios("noise")]


def write(o):
    lines = []
    for net in regions.NETS:
        for variant in regions.variants(net):
            for change in o.changes:
                files = [file(o, (net, variant, seed), change) for seed in o.seeds]
                if runs := done(files):
                    lines.append(line(row(net, variant, change, runs)))
    head = HEAD.format(clips=o.clips, points=o.points, columns=line(COLUMNS))
    (o.out / "CERTIFY.md").write_text(head + "\n".join(lines) + "\n")


def main():
    p = parser(__doc__)
    p.add_argument("--changes", type=lambda t: t.split(";"), default=["0.5:0.01", "3:0.05"],
                   help="pairs of gain and noise in decibels, with ; between")
    p.add_argument("--clips", type=int, default=20)
    p.add_argument("--points", type=int, default=10000)
    p.add_argument("--words", default=regions.WORDS)
    o = options(p)
    if not o.write:
        train = build(o.work.resolve(), o.threads)
        for seed in o.seeds:
            for net in regions.NETS:
                for variant in regions.variants(net):
                    if regions.stem(o, net, variant, seed).with_suffix(".json").exists():
                        for change in o.changes:
                            measure(o, train, (net, variant, seed), change)
    write(o)


if __name__ == "__main__":
    main()
