"""The file bench/pinets/RESULTS.md."""
import dataclasses
import math
import re
import statistics

from rows import EPOCHS, ROWS

HEAD = """# Results

{machine}; rows that the latest run left out are of earlier commits. Every network was trained alike: `train fit` with
its defaults but `--in-context 0 --epochs {epochs}`, on the same clips (19 classes), but for the options that a net's
name in [rows.py](rows.py) comes with.

A cell is the mean over the seeds ± their standard deviation. The validation clips chose the epoch; the test clips were
used once. The ratio is that of the test accuracy to the `relu` net's of equal depth and width, of narrow nets to the
wider `relu` net's, ± its standard error. This file is written by `bench/pinets/run.py`. Learning curves, on the
validation clips, with the seeds' range:

![](curves.png)

"""
COLUMNS = ("net", "blocks", "degree", "parameters", "multiply-adds", "seeds", "validation, %", "test, %", "ratio to relu", "parameters' ratio",
           "minutes a run")


@dataclasses.dataclass
class Spread:
    """Accuracies over seeds, in percent."""
    mean: float
    deviation: float = math.nan

    @classmethod
    def of(cls, values):
        return cls(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else math.nan)

    @classmethod
    def parse(cls, cell):
        return cls(*(float(part) for part in cell.split("±")))

    def __str__(self):
        return f"{self.mean:.2f}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.2f}")


@dataclasses.dataclass
class Result:
    """A row of the table, but for its comparison."""
    degree: str
    parameters: int
    macs: str
    seeds: int
    valid: Spread
    test: Spread
    minutes: str

    @classmethod
    def of(cls, runs):
        first = runs[0]
        return cls(first["degree"], int(first["parameters"]), first["MACs"].removesuffix(" of audio"), len(runs),
                   Spread.of([f["valid"] for f in runs]), Spread.of([f["test"] for f in runs]),
                   f"{statistics.mean(f['seconds'] for f in runs) / 60:.1f}")

    @classmethod
    def parse(cls, cells):
        degree, parameters, macs, seeds, valid, test, _, _, minutes = cells
        return cls(degree, int(parameters.replace(",", "")), macs, int(seeds), Spread.parse(valid), Spread.parse(test), minutes)

    def error(self):
        """Returns the relative standard error of the mean test accuracy."""
        return self.test.deviation / math.sqrt(self.seeds) / self.test.mean


def write(path, found, machine):
    """Writes the table of what was found in runs. Rows of which none was run stay as they are."""
    results = kept(path)
    for row in ROWS:
        runs = [f for f in found if (f["net"], f["arch"]) == (row.net, row.arch)]
        if runs:
            results[row.net, row.arch] = Result.of(runs)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += [line(row, results) for row in ROWS if (row.net, row.arch) in results]
    for net in ("base", "small"):
        if all((net, arch) in results for arch in ("linear", "relu", "pi")):
            linear, relu, pi = (results[net, arch].test.mean for arch in ("linear", "relu", "pi"))
            lines += ["", f"Of the gap from `linear` to `relu`, the {net} net of `pi` blocks, which has no activation function, closes "
                          f"{(pi - linear) / (relu - linear):.3f}; the papers' closed 0.91 on ImageNet."]
    path.write_text(HEAD.format(machine=machine, epochs=EPOCHS) + "\n".join(lines) + "\n")


def line(row, results):
    r = results[row.net, row.arch]
    relu = results.get((row.net.removeprefix("narrow "), "relu"))
    compared = ["", ""]
    if relu and row.arch != "relu":
        ratio = r.test.mean / relu.test.mean
        compared = [f"{ratio:.4f} ± {ratio * math.hypot(r.error(), relu.error()):.4f}", f"{r.parameters / relu.parameters:.2f}"]
    return "| " + " | ".join((row.net, f"`{row.arch}`", r.degree, f"{r.parameters:,}", r.macs, str(r.seeds), str(r.valid), str(r.test),
                              *compared, r.minutes)) + " |"


def kept(path):
    """Returns the results that the file has."""
    results = {}
    for text in path.read_text().splitlines() if path.exists() else ():
        if match := re.fullmatch(r"\| (.+?) \| `(.+?)` \| (.+) \|", text):
            results[match[1], match[2]] = Result.parse([c.strip() for c in match[3].split(" | ")])
    return results
