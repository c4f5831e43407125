from bench import FRAMES, LARGE, MELS, SMALL, describe, normals
from harness import Comparison, Failure, milliseconds

TITLE = "Training steps"
ABOUT = """One step on 100 clips of prepared features: forward, loss, backward, clipping of the gradient's norm, SGD
with Nesterov momentum; no dropout, no data loading. Both sides begin with the same weights; their losses in the first
steps are compared."""

BATCH, STEPS = 100, 3  # steps before those that are timed
RATE = 1e-3
TOLERANCE = 1e-3  # of the losses


def rows(bench):
    table = Comparison(["network", "threads"], bench.titles, ["PyTorch"], "ms", extra=[f"max abs Δloss, {STEPS} steps"])
    for widths in [SMALL] if bench.quick else [SMALL, LARGE]:
        model, facts = bench.model("pi", widths)
        args = dict(model=model, rows=bench.floats("rows", normals(BATCH, FRAMES, MELS)), batch=BATCH, frames=FRAMES, rate=RATE, steps=STEPS)
        for threads in bench.threads:
            sides = [o.prepare("step", threads=threads, **args) for o in bench.ours] + [bench.pytorch(threads).prepare("step", **args)]
            losses = [side.facts["losses"] for side in sides]
            delta = max(abs(a - b) for other in losses[1:] for a, b in zip(losses[0], other))
            if not delta < TOLERANCE:
                raise Failure(f"training steps have losses {losses}")
            times = bench.take_turns(sides)
            table.compare([describe("pi", widths, facts), threads], times, milliseconds(times), [f"{delta:.1e}"])
            bench.forget()
    return table.lines
