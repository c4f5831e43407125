import csv
import os
import re
import statistics

from bench import EMBEDDED, MIDDLE, describe
from harness import BIN, HERE, PYTHON, Failure, Table, ratio, run, spread

TITLE = "A folder of clips"
ABOUT = """WAV files of one second to labels: reading, log-mel rows, network, output, two threads. polyphon is timed
from the start of the process to its end; of PyTorch with torchaudio, start and loading of the model are not counted."""

THREADS = 2
PEERS = {"batch 1": 1, "batch 16": 16}  # polyphon's is 16


def rows(bench):
    clips = 100 if bench.quick else 1000
    folder = link_clips(bench, clips)
    table = Table("network", "polyphon, s", "times real time", *(f"PyTorch {name}, s" for name in PEERS),
                  *(f"ratio: {name}" for name in PEERS), "same labels", "max abs Δ of their probability")
    for block, widths in [("pi", MIDDLE)] if bench.quick else [("pi", MIDDLE), ("embedded", EMBEDDED)]:
        model, facts = bench.model(block, widths)
        compare(bench, table, describe(block, widths, facts), model, folder, clips)
    return table.lines


def link_clips(bench, clips):
    """Links test and validation clips into a folder of their own."""
    names = []
    for split in ("testing_list.txt", "validation_list.txt"):
        names += (bench.data / split).read_text().split()
    if len(names) < clips:
        raise Failure(f"{bench.data} lists {len(names)} test and validation clips, {clips} are needed")
    folder = bench.work / "clips"
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names[:clips]):
        os.symlink(bench.data / name, folder / f"{i:04d}.wav")
    return folder


def compare(bench, table, name, model, folder, clips):
    ours, peers = [], [[] for _ in PEERS]
    same, delta = clips, 0.0
    for _ in range(1 if bench.quick else 3):
        seconds, out, _ = run([BIN / "classify", "--model", model, "--threads", THREADS, "--format", "csv", folder])
        ours.append(seconds)
        results = [r for r in csv.DictReader(out.splitlines()) if r["kind"] == "result"]
        answers = {r["file"]: (r["label1"], float(r["p1"])) for r in results}
        for times, batch in zip(peers, PEERS.values()):
            peer = [PYTHON, HERE / "pytorch/classify.py", "--model", model, "--threads", THREADS, "--batch", batch]
            _, out, err = run([*peer, folder])
            times.append(float(re.search(r"in ([\d.]+) s", err).group(1)))
            others = {r[0]: (r[1], float(r[2])) for r in csv.reader(out.splitlines())}
            if answers.keys() != others.keys():
                raise Failure(f"polyphon classified {len(answers)} files, PyTorch {len(others)}")
            agreed = [f for f in answers if answers[f][0] == others[f][0]]
            same = min(same, len(agreed))
            delta = max(delta, max((abs(answers[f][1] - others[f][1]) for f in agreed), default=1))
    if same < 0.99 * clips or delta > 0.01:
        raise Failure(f"{name}: {same} of {clips} labels agree, probabilities differ by {delta}")
    table.row(name, spread(ours), f"{clips / statistics.median(ours):,.0f}", *map(spread, peers),
              *(ratio(ours, times) for times in peers), f"{same} of {clips}", f"{delta:.0e}")
