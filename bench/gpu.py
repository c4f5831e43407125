#!/usr/bin/env python3
"""Lets polyphon and PyTorch take turns on this machine's GPU and writes bench/GPU.md. bench/gpu.sh builds what it
needs.

    bench/gpu.py [--bin DIR]       all rows, about 3 minutes
    bench/gpu.py --try             a few rows, not written: PyTorch on the processor, polyphon on any CUDA driver

bench/README.md says how to read the table.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from bench import EMBEDDED, FRAMES, LARGE, MELS, SMALL, Bench, describe, normals  # noqa: E402
from harness import BIN, HERE, Comparison, Failure, differences, milliseconds  # noqa: E402

PRECISIONS = ("float32", "tf32", "bf16")
# How far results may be apart, in parts of the largest value: the sides round differently where they round at all.
TOLERANCE = {"float32": 1e-3, "tf32": 2e-2, "bf16": 2e-1}
PEERS = ["PyTorch", "PyTorch, CUDA graph"]
RATE, STEPS = 1e-3, 3

HEAD = """# Results on a GPU

{machine}. PyTorch {torch}.

A cell is a median and, in brackets, the least and the greatest of the rounds, in which the sides took turns. **A ratio
is polyphon's time divided by the peer's: below 1, polyphon is faster.** A call begins with its input in the host's
memory and ends with its result there. PyTorch runs as written, and captured as a CUDA graph, which is its best;
polyphon has no graph to capture beforehand. Precision is what matrix products round their operands to (PyTorch's bf16
is autocast). This file is written by `bench/gpu.py`.
"""


class GPUBench(Bench):
    """A Bench of polyphon on a GPU and PyTorch on one."""

    def __init__(self, work, trial, binaries):
        self.work, self.quick = work, trial
        self.rounds, self.sample = (2, 0.001) if trial else (9, 0.05)
        self.workers = []
        self.ours = [self.start("polyphon", [binaries / "bench-polyphon"])]
        place = ["--device", "cpu"] if trial else []
        self.torch = self.start("PyTorch", [sys.executable, HERE / "pytorch/cuda_worker.py", *place])

    def sides(self, case, ours, precision, **args):
        return [self.ours[0].prepare(ours, precision=precision, **args)] + [
            self.torch.prepare(case, precision=precision, graph=graph, **args) for graph in (False, True)]

    def compare(self, table, what, sides, extra):
        times = self.take_turns(sides)
        table.compare(what, times, milliseconds(times), extra)
        self.forget()


def networks(bench):
    """Log-mel rows to logits."""
    table = Comparison(["network", "clips", "precision"], ["GPU"], PEERS, "ms", extra=["max abs Δlogit"])
    for block, widths in [("pi", SMALL)] if bench.quick else [("pi", LARGE), ("embedded", EMBEDDED)]:
        model, facts = bench.model(block, widths)
        for batch in (2,) if bench.quick else (1, 64, 512):
            for precision in PRECISIONS:
                rows = bench.floats("rows", 2 * normals(batch, FRAMES, MELS) - 4)
                sides = bench.sides("net", "plan", precision, model=model, rows=rows, batch=batch, frames=FRAMES)
                delta = max(differences(sides, bench.work, TOLERANCE[precision]))
                bench.compare(table, [describe(block, widths, facts), batch, precision], sides, [f"{delta:.1e}"])
    return table.lines


def sounds(bench):
    """Samples to probabilities, features made on the GPU."""
    table = Comparison(["sounds of 1 s", "precision"], ["GPU"], PEERS, "ms", extra=["max abs Δp"])
    model, _ = bench.model("embedded", EMBEDDED)
    for batch in (2,) if bench.quick else (64, 512):
        for precision in PRECISIONS:
            rows = bench.floats("rows", 0.1 * normals(batch, 16000))
            ours, *theirs = bench.sides("sounds", "sounds", precision, model=model, rows=rows, batch=batch)
            delta = max(differences([ours, *theirs], bench.work, TOLERANCE[precision]))
            bench.compare(table, [batch, precision], [ours, *theirs], [f"{delta:.1e}"])
    return table.lines


def steps(bench):
    """Training steps: forward, loss, backward, clipping, SGD with Nesterov momentum."""
    table = Comparison(["network", "clips", "precision"], ["GPU"], PEERS, "ms", extra=[f"max abs Δloss, {STEPS} steps"])
    for widths in [SMALL] if bench.quick else [SMALL, LARGE]:
        model, facts = bench.model("pi", widths)
        for batch in (4,) if bench.quick else (100, 512):
            for precision in PRECISIONS:
                rows = bench.floats("rows", normals(batch, FRAMES, MELS))
                sides = bench.sides("step", "step", precision, model=model, rows=rows, batch=batch, frames=FRAMES, rate=RATE, steps=STEPS)
                losses = [side.facts["losses"] for side in sides]
                delta = max(abs(a - b) for other in losses[1:] for a, b in zip(losses[0], other))
                if not delta < TOLERANCE[precision] * max(losses[0]):
                    raise Failure(f"training steps have losses {losses}")
                bench.compare(table, [describe("pi", widths, facts), batch, precision], sides, [f"{delta:.1e}"])
    return table.lines


GROUPS = {"Networks: log-mel rows to logits": networks, "Sounds to probabilities": sounds, "Training steps": steps}


def machine():
    found = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True)
    name, driver = found.stdout.splitlines()[0].split(", ")
    return f"{name}, driver {driver}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=BIN / "gpu", help="where bench/gpu.sh has built")
    parser.add_argument("--try", dest="trial", action="store_true", help="see whether everything runs")
    args = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="polyphon-bench-"))
    bench = GPUBench(work, args.trial, args.bin)
    parts = []
    try:
        for title, group in GROUPS.items():
            print(f"\n## {title}\n", flush=True)
            parts.append("\n".join([f"## {title}", "", *group(bench), ""]))
        if not args.trial:
            head = HEAD.format(machine=machine(), torch=bench.torch.hello["torch"])
            (HERE / "GPU.md").write_text("\n".join([head, *parts]))
    except Failure as e:
        sys.exit(f"bench/gpu.py: {e}")
    finally:
        bench.close()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
