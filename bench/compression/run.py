#!/usr/bin/env python3
"""Accuracy against multiply-adds of networks from which channels were removed, by each rule at the same budget and the
same extra epochs.

    bench/compression/run.py --model M --data DIR --work WORK [--epochs 3] [--seeds 1,2,3] [--shares 1,0.7,0.5,0.3]
    bench/compression/run.py --work WORK --write       only writes what has been measured so far

Each run is a JSON file in WORK; those that are there are not run again, so that a run that was interrupted goes on
where it was. A share of 1 is the given model, trained on as long as the others. Similarity folds the channels that go
into those that stay; the rules that it is compared with leave them out, as usual (`--fold-all` folds for all). Then the
times of a clip are measured in turns, and RESULTS.md and accuracy.svg are written into the folder of --out.
"""
import json
import pathlib
import statistics
import sys

from common import ROOT, build, call, done, draw, line, options, parser, part, record, spread

FOLDED = ("similarity", "moments")
RULES = (*FOLDED, "random", "scale", "magnitude")
HEAD = """# Networks from which channels were removed

`{model}` on {clips} validation clips, {epochs} more epochs on {part}the training clips{recipe}, seeds {seeds}:
accuracy in percent, mean (least to most) of the seeds. The time of a clip is relative to the given model's, the median
of 31 rounds in which all models take turns, with quartiles; seed {first}. This file is written by
`bench/compression/run.py`.

![](accuracy.svg)

| rule | others | share of multiply-adds | before training on | after | time of a clip |
| --- | --- | --- | --- | --- | --- |
"""


def stem(o, rule, fold, share, seed):
    return o.work / f"{rule}-{fold}-{100 * share:.0f}-{seed}"


def measure(o, train, rule, fold, share, seed):
    """Makes, trains on and measures one network, unless that is done."""
    path = stem(o, rule, fold, share, seed)

    def run():
        command = ["compress", "--model", o.model, "--data", o.data, "--out", path.with_suffix(".safetensors"),
                   "--json", "--threads", o.threads, "--seed", seed]
        if share < 1:
            command += ["--similar", "--macs", share, "--by", rule, "--fold", fold, "--lanes", o.lanes]
        if o.epochs:
            command += ["--finetune", o.epochs, *o.recipe]
        return json.loads(call(train, *command))

    if share < 1 or o.epochs:
        record(path.with_suffix(".json"), run)


def plan(o):
    """Returns rule, fold and share of all networks."""
    for share in o.shares:
        if share == 1:
            yield "given", "all", share
            continue
        for rule in o.rules:
            for fold in ("all", "none"):
                if o.fold_all or (fold == "all") == (rule in FOLDED):
                    yield rule, fold, share


def times(o):
    """Measures the times of the first seed's models, in turns, unless that is done."""
    models = [stem(o, *which, o.seeds[0]).with_suffix(".safetensors") for which in plan(o)]
    models = [o.model] + [m for m in models if m.exists()]
    path = o.work / "latency.json"
    if not path.exists() or [t["model"] for t in json.loads(path.read_text())] != [str(m) for m in models]:
        path.unlink(missing_ok=True)
        program = o.work.resolve() / "latency"
        call("go", "build", "-o", program, "./bench/compression/latency", cwd=ROOT)
        record(path, lambda: json.loads(call(program, *models)))


def write(o):
    found, lines, drawn = {}, [], {}
    for which in plan(o):
        files = [stem(o, *which, seed).with_suffix(".json") for seed in o.seeds]
        if runs := done(files):
            found[which] = runs
    latency = o.work / "latency.json"
    latency = {pathlib.Path(t["model"]).stem: t for t in json.loads(latency.read_text())} if latency.exists() else {}
    for (rule, fold, share), runs in found.items():
        given, last = [r[0] for r in runs], [r[-1] for r in runs]
        small = given if share == 1 else [r[1] for r in runs]
        macs = last[0]["macs"] / given[0]["macs"]
        after = [s["valid_accuracy"] for s in last]
        time = latency.get(stem(o, rule, fold, share, o.seeds[0]).name)
        cells = [rule, "" if share == 1 else "folded" if fold == "all" else "left out", f"{macs:.3f}",
                 spread([s["valid_accuracy"] for s in small]), spread(after),
                 f"{time['ratio']:.2f} ({time['ratio_lower_quartile']:.2f} to {time['ratio_upper_quartile']:.2f})"
                 if time else "-"]
        lines.append(line(cells))
        point = [macs, statistics.mean(after), min(after), max(after)]
        name = "given" if share == 1 else rule if fold == "all" else f"{rule}, left out"
        drawn.setdefault(name, []).append(point)
    if not found:
        sys.exit("nothing has been measured")
    any_run = next(iter(found.values()))[0]
    share = {1: "", 2: "every second of "}.get(o.every, f"every {o.every}th of ")
    recipe = f", `{' '.join(o.recipe)}`" if o.recipe else ""
    head = HEAD.format(part=share, recipe=recipe, model=pathlib.Path(o.model).stem, clips=any_run[0]["valid_clips"],
                       epochs=o.epochs, seeds=", ".join(map(str, o.seeds)), first=o.seeds[0])
    (o.out / "RESULTS.md").write_text(head + "\n".join(lines) + "\n")
    whole = drawn.pop("given", [])  # where all lines end
    draw(o.out / "accuracy.svg", "share of multiply-adds", "validation accuracy, %",
         {name: sorted(points + whole) for name, points in drawn.items()})


def main():
    p = parser(__doc__)
    p.add_argument("--model", default="small")
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--shares", type=lambda t: [float(s) for s in t.split(",")], default=[1.0, 0.7, 0.5, 0.3])
    p.add_argument("--every", type=int, default=1, help="train on with every so manyth training clip alone")
    p.add_argument("--recipe", type=str.split, default=[], help='how to train on, such as --recipe="--augment light"')
    p.add_argument("--rules", type=lambda t: t.split(","), default=RULES)
    p.add_argument("--lanes", type=int, default=4)
    p.add_argument("--fold-all", action="store_true")
    o = options(p)
    if not o.write:
        train = build(o.work.resolve(), o.threads)
        if o.every > 1:
            o.data = part(o.work / f"every{o.every}", o.data, o.every)
        for seed in o.seeds:  # a whole comparison first, then the next seed
            for rule, fold, share in plan(o):
                measure(o, train, rule, fold, share, seed)
        times(o)
    write(o)


if __name__ == "__main__":
    main()
