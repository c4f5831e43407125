import statistics

from bench import FRAMES, MELS, MIDDLE, describe, normals
from harness import Table, ratio, spread

TITLE = "Live streams"
ABOUT = """Live sound with a decision every 80 ms, on one thread, features included: white noise, which the gate would let through. One pass runs features
and network once over a minute. A stream computes a step of sound at once and gives the same numbers; what it costs is what a second of sound costs. Re-running
computes features and network over the latest second every 80 ms; ONNX Runtime's time for that is the network's alone. A thousand streams
take turns, a step each; a core keeps as many in real time as a second of sound fits into a second."""

HOP = 0.08  # seconds from one decision to the next
STEPS = (0.08, 0.16, 0.24, 0.48, 0.96)


def rows(bench):
    model, facts = bench.model("pi", MIDDLE)
    ours = bench.ours[0]
    sides = {"one pass over 60 s": (ours.prepare("pass", model=model, seconds=60), 60)}
    for step in STEPS:
        sides[f"a stream, steps of {1000 * step:.0f} ms"] = (
            ours.prepare("stream", model=model, streams=1, step=step, piece=0.01, seconds=2.88), 2.88)
    crowds = {}
    for step in (0.08, 0.24):
        side = ours.prepare("stream", model=model, streams=1000, step=step, piece=step, seconds=step)
        crowds[f"1,000 streams, steps of {1000 * step:.0f} ms"] = side
        sides[f"1,000 streams, steps of {1000 * step:.0f} ms"] = (side, 1000 * step)
    sides["re-running 1 s every 80 ms"] = (ours.prepare("pass", model=model, seconds=1), HOP)
    sides["ONNX Runtime, the same"] = (onnx(bench, model), HOP)
    times = bench.take_turns([side for side, _ in sides.values()])
    cost = {name: [t / seconds for t in found] for (name, (_, seconds)), found in zip(sides.items(), times)}
    one, again, peer = cost["one pass over 60 s"], cost["re-running 1 s every 80 ms"], cost["ONNX Runtime, the same"]
    table = Table(f"network: {describe('pi', MIDDLE, facts)}", "µs a second of sound", "by one pass", "by re-running", "by ONNX Runtime", "streams a core keeps",
                  "kB a stream")
    for name, found in cost.items():
        memory = f"{crowds[name].facts['bytes'] / 1e3:.0f}" if name in crowds else ""
        table.row(name, spread(found, 1e6), ratio(found, one), ratio(found, again), ratio(found, peer),
                  f"{1 / statistics.median(found):,.0f}" if "stream" in name else "", memory)
    return table.lines


def onnx(bench, model):
    files = bench.onnx_files()
    bench.pytorch(1).prepare("net", model=model, rows=bench.floats("rows", normals(1, FRAMES, MELS)), batch=1, frames=FRAMES, onnx=files)
    plain, _ = bench.onnx_sides(files, [1, MELS, FRAMES], 1)
    return plain
