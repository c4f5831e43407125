#!/usr/bin/env python3
"""Asks whether conformal sets that are fitted to one part of the recordings hold for another, and writes COVERAGE.md.

    bench/calibration/coverage.py --data DIR --model MODEL

DIR has the layout of Google Speech Commands. Class-conditional quantiles of 1 - p(true label), as `train calibrate`
fits them, are fitted to the validation clips and used on the test clips, the other way round, and fitted to the clips
of half of all speakers of both lists and used on the others', 200 times.
"""
import argparse
import json
import math
import pathlib
import random
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
HEAD = """# Coverage of conformal sets

Clips of words, `{model}`; share of the clips whose set holds the label, in percent. This file is written by
`bench/calibration/coverage.py`.

| fitted to | used on | 90 % asked | 95 % asked |
| --- | --- | --- | --- |
"""


def word(path):
    return path.split("/")[0]


def speaker(path):
    return path.split("/")[1].split("_")[0]


def probabilities(model, data, paths):
    """Returns the probability of its own label of each clip whose word is one of the model's labels."""
    command = ["xargs", "-d", "\n", "go", "run", "./cmd/classify", "--model", model, "--top", "0", "--as", "clip",
               "--format", "ndjson"]
    out = subprocess.run(command, input="\n".join(str(data / p) for p in paths), capture_output=True, text=True,
                         check=True, cwd=HERE.parents[1]).stdout
    found = {}
    for line in out.splitlines():
        record = json.loads(line)
        if "labels" in record:
            path = str(pathlib.Path(record["file"]).relative_to(data))
            shares = {label["label"]: label["p"] for label in record["labels"]}
            if word(path) in shares:
                found[path] = shares[word(path)]
    return found


def coverage(p, fitted, used, share):
    """Returns how many of the clips in used have their label in the sets of quantiles fitted to other clips."""
    limits = {}
    for label in {word(path) for path in fitted}:
        scores = sorted(1 - p[path] for path in fitted if word(path) == label)
        limits[label] = scores[min(math.ceil((len(scores) + 1) * share), len(scores)) - 1]
    return 100 * sum(1 - p[path] <= limits.get(word(path), 1) for path in used) / len(used)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="base", help="model file or embedded model")
    parser.add_argument("--name", help="of the model in the table")
    o = parser.parse_args()
    data = o.data.resolve()
    listed = [set((data / name).read_text().split()) for name in ("validation_list.txt", "testing_list.txt")]
    p = probabilities(o.model, data, sorted(path for path in listed[0] | listed[1] if (data / path).exists()))
    valid, test = [sorted(part & p.keys()) for part in listed]
    rows = [(f"{len(valid)} validation clips", f"{len(test)} test clips",
             *(f"{coverage(p, valid, test, share):.1f}" for share in (0.9, 0.95))),
            ("the test clips", "the validation clips",
             *(f"{coverage(p, test, valid, share):.1f}" for share in (0.9, 0.95)))]
    draw, speakers = random.Random(1), sorted({speaker(path) for path in p})
    mixed = {0.9: [], 0.95: []}
    for _ in range(200):
        half = set(draw.sample(speakers, len(speakers) // 2))
        fitted, used = [path for path in p if speaker(path) in half], [path for path in p if speaker(path) not in half]
        for share, list_ in mixed.items():
            list_.append(coverage(p, fitted, used, share))
    rows.append(("half of all speakers", "the other half",
                 *(f"{statistics.mean(list_):.1f} ± {statistics.stdev(list_):.1f}" for list_ in mixed.values())))
    text = HEAD.format(model=o.name or o.model) + "".join("| " + " | ".join(row) + " |\n" for row in rows)
    (HERE / "COVERAGE.md").write_text(text + """
With the lists mixed, coverage is what was asked for. The official lists are not exchangeable: networks are more often
wrong about the validation clips, so that sets fitted to them are too wide for the test clips, and sets fitted to the
test clips too narrow for the validation clips. No rule that sees the validation clips alone can know that.
""")


if __name__ == "__main__":
    main()
