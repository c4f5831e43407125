"""The file bench/pinets/RESULTS.md."""
import math
import statistics

from rows import EPOCHS, ROWS

HEAD = """# Results

{machine}. Every network was trained alike: `train fit` with its defaults but `--in-context 0 --epochs {epochs}`, on the same clips
({valid} validation and {test} test clips, 19 classes).

A cell is the mean over the seeds ± their standard deviation. The validation clips chose the epoch; the test clips were heard once. The ratio is
that of the test accuracy to the `relu` net's of equal depth and width, of narrow nets to the wider `relu` net's, ± its standard error.
This file is written by `bench/pinets/run.py`. Learning curves, on the validation clips, with the seeds' range:

![](curves.png)

"""
COLUMNS = ("net", "blocks", "degree", "parameters", "multiply-adds", "seeds", "validation, %", "test, %", "ratio to relu", "parameters' ratio",
           "minutes a run")


def write(path, found, machine):
    """Writes the table of what was found in runs."""
    groups = [(r, [f for f in found if (f["net"], f["arch"]) == (r.net, r.arch)]) for r in ROWS]
    groups = [(r, runs) for r, runs in groups if runs]
    if not groups:
        return
    by = {(r.net, r.arch): runs for r, runs in groups}
    first = groups[0][1][0]
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for row, runs in groups:
        relu = by.get((row.net.removeprefix("narrow "), "relu"))
        same = row.arch == "relu" or not relu
        lines.append("| " + " | ".join((
            row.net, f"`{row.arch}`", runs[0]["degree"], f"{int(runs[0]['parameters']):,}", runs[0]["MACs"].removesuffix(" of audio"), str(len(runs)),
            spread(runs, "valid"), spread(runs, "test"),
            "" if same else "{:.4f} ± {:.4f}".format(*ratio(runs, relu)),
            "" if same else f"{int(runs[0]['parameters']) / int(relu[0]['parameters']):.2f}",
            f"{statistics.mean(f['seconds'] for f in runs) / 60:.1f}")) + " |")
    for net in ("base", "small"):
        if all((net, arch) in by for arch in ("linear", "relu", "pi")):
            linear, relu, pi = (statistics.mean(f["test"] for f in by[net, arch]) for arch in ("linear", "relu", "pi"))
            lines += ["", f"Of the gap from `linear` to `relu`, the {net} net of `pi` blocks, which has no activation function, closes "
                          f"{(pi - linear) / (relu - linear):.3f}; the papers' closed 0.91 on ImageNet."]
    head = HEAD.format(machine=machine, epochs=EPOCHS, valid=first["valid_clips"], test=first["test_clips"])
    path.write_text(head + "\n".join(lines) + "\n")


def spread(runs, split):
    values = [f[split] for f in runs]
    return f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def ratio(runs, others):
    """Returns the ratio of the mean test accuracies and its standard error."""
    means, errors = [], []
    for group in (runs, others):
        values = [f["test"] for f in group]
        means.append(statistics.mean(values))
        errors.append(statistics.stdev(values) / math.sqrt(len(values)) / means[-1] if len(values) > 1 else math.nan)
    found = means[0] / means[1]
    return found, found * math.hypot(*errors)
