#!/usr/bin/env python3
"""Trains networks with each loss and several seeds, calibrates each by temperature, and writes RESULTS.md and ece.png
beside this file.

    bench/calibration/run.py --data DIR --work WORK      everything, about two hours on two cores
    bench/calibration/run.py ... --only small --seeds 1  one size of network, fewer seeds
    bench/calibration/run.py --work WORK --write         only writes what has been measured so far

DIR has the layout of Google Speech Commands. The same command goes on where it was stopped: WORK keeps models and
checkpoints, runs/ beside this file what has been measured. The temperature is fitted to the validation clips; the test
clips are used once for each run.
"""
import argparse
import json
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pinets"))
from rows import BASE, SMALL, WORDS  # noqa: E402
from run import ROOT, build, call  # noqa: E402

RUNS = HERE / "runs"
EPOCHS, FEWER = 20, {"base": 10}  # for the net of these, whose epochs take longest
LOSSES = ("ce", "ls", "brier", "focal", "flsd", "flsc", "dual")
# The paper trains on images that are hardly varied until the training error is 0, and keeps the last epoch. Its losses
# are measured under such conditions, too.
UNVARIED = ("--augment", "none", "--dropout", 0, "--keep", "last", "--patience", 0)
NETS = {
    "small": ("pi-relu", SMALL, (), LOSSES),
    "small, no augmentation": ("pi-relu", SMALL, UNVARIED, ("ce", "focal", "flsd")),
    "base, no augmentation": ("relu", BASE, UNVARIED, ("ce", "focal", "flsd")),
    "base": ("relu", BASE, (), LOSSES),
}
FIGURES = ("ece", "adaptive_ece", "classwise_ece", "nll")
HEAD = """# Losses and calibration

{machine}. `train fit` with its defaults but `--in-context 0 --epochs {epochs} --loss LOSS --no-calibrate`, and
`train calibrate --method temperature`; gamma of `focal` and `dual` is 3; "base" has {fewer} epochs. "No augmentation"
adds `{unvaried}`. Figures are of the test clips, means
over the seeds ± their standard deviation; the temperature is that of the largest likelihood on the validation clips.
This file is written by `bench/calibration/run.py`.

![](ece.png)

"""


def measure(train, about, data, net, loss, seed, threads, stem):
    """Trains one network, or goes on with it, and returns what was measured."""
    record, model = RUNS / f"{stem.name}.json", stem.with_suffix(".safetensors")
    if record.exists():
        return
    print(f"{net}, {loss}, seed {seed}", file=sys.stderr, flush=True)
    arch, (first, stages), options, _ = NETS[net]
    call(train, "fit", "--data", data, "--words", WORDS, "--arch", arch, "--stem", first, "--stages", stages, *options,
         "--in-context", 0, "--epochs", FEWER.get(net, EPOCHS), "--seed", seed, "--threads", threads, "--loss", loss,
         "--no-calibrate", "--out", model, "--resume")
    calibrated = stem.with_suffix(".calibrated")
    call(train, "calibrate", "--model", model, "--data", data, "--method", "temperature", "--out", calibrated)
    found = json.loads(call(train, "eval", "--model", calibrated, "--data", data, "--json"))
    before = found["uncalibrated"]
    found = {"net": net, "loss": loss, "seed": seed, "accuracy": found["accuracy"], "clips": found["clips"],
             "temperature": found["temperature"], "before": {f: before[f] for f in FIGURES},
             "after": {f: found[f] for f in FIGURES}, "machine": about}
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1))
    partial.replace(record)


def spread(values, digits=2):
    text = f"{statistics.mean(values):.{digits}f}"
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def write(found, about):
    columns = ["net", "loss", "seeds", "accuracy, %"]
    names = ("ECE, %", "adaptive ECE, %", "classwise ECE, %", "NLL")
    columns += [f"{name} {when}" for name in names for when in ("before", "after")]
    lines = ["| " + " | ".join(columns + ["temperature"]) + " |", "|" + " --- |" * (len(columns) + 1)]
    groups = {(net, loss): [f for f in found if (f["net"], f["loss"]) == (net, loss)]
              for net in NETS for loss in NETS[net][-1]}
    for (net, loss), runs in groups.items():
        if runs:
            cells = [net, f"`{loss}`", str(len(runs)), spread([f["accuracy"] for f in runs])]
            for figure in FIGURES:
                digits = 3 if figure in ("nll", "classwise_ece") else 2
                cells += [spread([f[when][figure] for f in runs], digits) for when in ("before", "after")]
            lines.append("| " + " | ".join(cells + [spread([f["temperature"] for f in runs])]) + " |")
    for net in NETS:
        ce, flsd = groups[net, "ce"], groups[net, "flsd"]
        if ce and flsd:
            mean = {(loss, when): statistics.mean(f[when]["ece"] for f in groups[net, loss])
                    for loss in ("ce", "flsd") for when in ("before", "after")}
            points = statistics.mean(f["accuracy"] for f in flsd) - statistics.mean(f["accuracy"] for f in ce)
            before = mean["ce", "before"] / mean["flsd", "before"]
            after = mean["flsd", "after"] / mean["ce", "after"]
            lines += ["", f"{net}: ECE(CE)/ECE(FLSD) before temperature {before:.2f} (the paper: 2.1 to 8.7); "
                          f"ECE(FLSD+T)/ECE(CE+T) {after:.2f} (0.58 to 0.70); "
                          f"accuracy of FLSD {points:+.2f} points."]
    head = HEAD.format(machine=about, epochs=EPOCHS, fewer=FEWER["base"], unvaried=" ".join(map(str, UNVARIED)))
    (HERE / "RESULTS.md").write_text(head + "\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--work", type=pathlib.Path, required=True, metavar="WORK")
    parser.add_argument("--only", choices=NETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true")
    o = parser.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    RUNS.mkdir(exist_ok=True)
    if not o.write:
        if o.data is None:
            parser.error("--data says where the recordings are")
        train, about = build(o.work, o.threads), (o.work / "machine").read_text()
        for net in [o.only] if o.only else NETS:
            for seed in range(1, o.seeds + 1):
                for loss in NETS[net][-1]:
                    stem = o.work / f"{net}-{loss}-{seed}".replace(", ", "-").replace(" ", "-")
                    measure(train, about, o.data, net, loss, seed, o.threads, stem)
    found = [json.loads(p.read_text()) for p in sorted(RUNS.glob("*.json"))]
    write(found, "; ".join(sorted({f["machine"] for f in found})))
    call("go", "run", "./bench/calibration/plot", RUNS, HERE / "ece.png", cwd=ROOT)


if __name__ == "__main__":
    main()
