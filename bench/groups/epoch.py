import csv
import re

from harness import BIN, HERE, PYTHON, Table, ratio, run, spread

TITLE = "A training epoch"
ABOUT = """Augmentation, features, network and optimiser with the default network and recipe, batch 100, two threads;
the second epoch of a run, when the files are in memory. PyTorch's side has the same recipe, network and data."""

THREADS, ROUNDS = 2, 2
WORDS = "zero,one,two,three,four,five,eight,up,down,left,right,go,yes,no,on,off,stop"


def rows(bench):
    ours, peers = [], []
    shared = ["--data", bench.data, "--epochs", 2, "--warmup", 1, "--threads", THREADS]
    for _ in range(ROUNDS):
        log = bench.work / "log.csv"
        run([BIN / "train", "fit", *shared, "--words", WORDS, "--in-context", 0,
             "--out", bench.work / "m.safetensors", "--force", "--log", log])
        with log.open() as f:
            ours.append(float(list(csv.DictReader(f))[-1]["train_seconds"]))
        _, out, _ = run([PYTHON, HERE / "pytorch/fit.py", *shared])
        peers.append(float(re.findall(r"epoch +\d+ +([\d.]+) s", out)[-1]))
    table = Table("training epoch", "polyphon, s", "PyTorch, s", "ratio")
    table.row("default network", spread(ours), spread(peers), ratio(ours, peers))
    return table.lines
