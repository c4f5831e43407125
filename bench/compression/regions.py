#!/usr/bin/env python3
"""Counts the linear regions of small ReLU networks that were trained with and without an L1 penalty and adversarial
training.

    bench/compression/regions.py --data DIR --work WORK [--seeds 1,2,3] [--only rows] [--epochs 30]
    bench/compression/regions.py --work WORK --write

DIR has the layout of Google Speech Commands; four of its words are learnt, and nothing else. `rows` looks at several
rows in its stem alone, so that all patterns of the network of one row are counted; of `layers` the pieces along lines
are. The network of products without ReLU has one region; its degree along lines is measured instead. Each run is a JSON
file in WORK, and is not repeated. REGIONS.md and regions.svg are written into the folder of --out.
"""
import json
import statistics

from common import build, call, done, draw, line, links, options, parser, record, spread

WORDS = "yes,no,up,down"
LAYERS = ("--stem", "16:5:2:2", "--stages", "16:2:5:2:2,20:2:5:2:2")
NETS = {
    "rows": ("--arch", "relu", "--stem", "7:15:7:4", "--stages", "5:1:1:0:1"),
    "layers": ("--arch", "relu", *LAYERS),
    "polynomial": ("--arch", "pi", *LAYERS),
}
VARIANTS = {
    "plain": (),
    **{f"L1 {x}": ("--l1", x) for x in ("1e-3", "1.5e-3", "2e-3")},
    "adversarial 0.03": ("--adversarial", "0.03"),
    **{f"L1 {x}, adversarial 0.03": ("--l1", x, "--adversarial", "0.03") for x in ("1e-3", "1.25e-3")},
}
FIT = ("--augment", "light", "--in-context", 0, "--loss", "ce", "--mixup", 0, "--keep", "last", "--patience", 0,
       "--ema", 0.99, "--no-calibrate")  # the last weights, since those of few regions come last
HEAD = """# Linear regions

`train fit {fit}` of the words {words} for {epochs} epochs, with what
the second column says; seeds {seeds}: mean (least to most). Patterns are those of the network of one row of logits, all
of them; pieces those of {lines} lines between random points of the box and between validation clips. "Of plain" is the
share of the plain network's count. This file is written by `bench/compression/regions.py`.

![](regions.svg)

{columns}
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
COLUMNS = ("network", "training", "validation accuracy, %", "points", "patterns", "of plain", "pieces, random",
           "of plain", "pieces, clips", "of plain")
DEGREES = """
A polynomial network is one polynomial everywhere, and has one region. Its degree along lines, the lowest that gives all
logits to a share of the range of the one that varies the most:

| network | of degree | validation accuracy, % | lines between | to 1e-2 | to 1e-4 | to 1e-8 |
| --- | --- | --- | --- | --- | --- | --- |
"""

def variants(net):
    return VARIANTS if net != "polynomial" else {"plain": ()}


def stem(o, net, variant, seed):
    return o.work / f"{net}-{variant.replace(', ', '+').replace(' ', '_').replace('.', '_')}-{seed}"


def metrics(model):
    """Returns the metrics in a model file, those of the validation clips of its words among them."""
    with open(model, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    return json.loads(header["__metadata__"]["provenance"])["metrics"]


def data(o):
    """Returns the folder of the words alone, so that all other sounds are left out when networks are measured, too."""
    return links(o.work / "words", o.data, o.words.split(","))


def fit(o, train, model, net, seed, *options):
    """Trains a network, or goes on with it, unless that is done."""
    if not model.exists() or model.with_name(model.name + ".checkpoint").exists():
        call(train, "fit", "--data", data(o), *net, *FIT, *options, "--out", model, "--epochs", o.epochs, "--seed",
             seed, "--threads", o.threads, "--resume")


def measure(o, train, net, variant, seed):
    """Trains one network, and counts its regions, unless that is done."""
    path = stem(o, net, variant, seed)

    def run():
        model = path.with_suffix(".safetensors")
        fit(o, train, model, NETS[net], seed, *variants(net)[variant])
        found = json.loads(call(train, "regions", "--model", model, "--data", data(o), "--lines", o.lines,
                                "--most", o.most, "--json"))
        return {"accuracy": metrics(model)["valid_accuracy"], "regions": found}

    record(path.with_suffix(".json"), run)


def pieces(run, between):
    return statistics.mean(line["pieces"] for line in run["regions"]["lines"] if line["between"] == between)


def degree(run, between, at):
    return statistics.mean(line["degrees"][at] for line in run["regions"]["lines"] if line["between"] == between)


def row(net, variant, runs, plain):
    """Returns the cells of a table's row, and the point of the picture: accuracy and pieces between clips."""
    accuracies = [r["accuracy"] for r in runs]
    lost = statistics.mean(accuracies) - statistics.mean(r["accuracy"] for r in plain)
    cells = [net, variant, spread(accuracies), f"{lost:+.2f}"]
    counts = (lambda r: r["regions"].get("row", {}).get("patterns"), lambda r: pieces(r, "random"),
              lambda r: pieces(r, "clips"))
    for count in counts:
        values = [count(r) for r in runs]
        if None in values or None in map(count, plain):
            cells += ["", ""]
            continue
        share = statistics.mean(values) / statistics.mean(map(count, plain))
        cells += [spread(values, 0), f"{share:.2f}"]
    values = [pieces(r, "clips") for r in runs]
    return cells, [statistics.mean(values), statistics.mean(accuracies), min(accuracies), max(accuracies)]


def write(o):
    lines, degrees, drawn = [], [], {}
    for net in NETS:
        found = {}
        for variant in variants(net):
            files = [stem(o, net, variant, seed).with_suffix(".json") for seed in o.seeds]
            if runs := done(files):
                found[variant] = runs
        for variant, runs in found.items() if "plain" in found else ():
            if net == "polynomial":
                for between, name in (("random", "random points of the box"), ("clips", "clips")):
                    cells = [net, runs[0]["regions"]["kind"].split()[-1], spread([r["accuracy"] for r in runs]), name]
                    cells += [spread([degree(r, between, at) for r in runs], 1) for at in range(3)]
                    degrees.append(line(cells))
                continue
            cells, point = row(net, variant, runs, found["plain"])
            lines.append(line(cells))
            for kind in ("L1", "adversarial"):
                if variant == "plain" or variant.startswith(kind) and "," not in variant:
                    drawn.setdefault(f"{net}, {kind}", []).append(point)
    head = HEAD.format(fit=" ".join(map(str, FIT)), words=o.words, epochs=o.epochs,
                       seeds=", ".join(map(str, o.seeds)), lines=o.lines,
                       columns=line(COLUMNS))
    text = head + "\n".join(lines) + "\n" + (DEGREES + "\n".join(degrees) + "\n" if degrees else "")
    (o.out / "REGIONS.md").write_text(text)
    draw(o.out / "regions.svg", "linear pieces between two clips", "validation accuracy, %",
         {name: sorted(points) for name, points in drawn.items()})


def main():
    p = parser(__doc__)
    p.add_argument("--words", default=WORDS)
    p.add_argument("--only", choices=NETS, action="append")
    p.add_argument("--variants", type=lambda t: t.split(";"), help="some of the second column, with ; between")
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--lines", type=int, default=10)
    p.add_argument("--most", type=int, default=100000, help="patterns that are counted at most")
    o = options(p)
    if not o.write:
        train = build(o.work.resolve(), o.threads)
        for seed in o.seeds:
            for net in o.only or NETS:
                for variant in variants(net):
                    if o.variants is None or variant in o.variants:
                        measure(o, train, net, variant, seed)
    write(o)


if __name__ == "__main__":
    main()
