import statistics

from bench import FRAMES, MELS, MIDDLE, ONNX, describe, normals
from groups.network import call_overhead
from harness import Table, differences, ratio, spread

TITLE = "Live sound"
ABOUT = """What a second of sound costs on one thread, from samples to probabilities, when there is a decision about its
latest second every 80 ms. A step is how much sound is computed at once: decisions come up to a step later. The floor is
one pass over a whole minute, which is no live sound. Streams in a group are computed together; a thousand streams are
live at the same time, and receive a step in turn. "Windows" run the network over the whole latest second every 80 ms,
as must be done without streams; of features they are charged those of the new sound only, and all sides polyphon's.
"Streams" are how many one thread keeps up with."""

RATE, MINUTE = 16000, 60
HOP = 0.08  # seconds, of decisions
STEPS = (0.08, 0.16, 0.24, 0.48, 0.96)
MANY = [(8, 8, 0.08), (32, 32, 0.08), (32, 32, 0.24), (1000, 1, 0.08), (1000, 1, 0.24), (1000, 20, 0.08)]  # streams, in groups of, step
NARROW = [(8, 8, 0.24), (32, 32, 0.24)]


def rows(bench):
    model, facts = bench.model("pi", MIDDLE)
    args = dict(model=model, samples=bench.floats("samples", 0.1 * normals(MINUTE * RATE)))
    live = {"one pass over a minute": [o.prepare("one pass", **args) for o in bench.ours]}
    streams = {f"a stream, step {1000 * step:.0f} ms": [o.prepare("stream", step=step, **args) for o in bench.ours] for step in STEPS}
    delta = max(differences([side for sides in streams.values() for side in sides], bench.work, 1e-3))
    for narrow in ("int8", "ternary"):
        path, _ = bench.model("pi", MIDDLE, narrow)
        for step in (0.08, 0.24):
            live[f"{narrow} weights, a stream, step {1000 * step:.0f} ms"] = [
                o.prepare("stream", step=step, **{**args, "model": path}) for o in bench.ours]
    many = {each: together(bench, each, args) for each in MANY}
    for narrow in ("int8", "ternary"):
        path, _ = bench.model("pi", MIDDLE, narrow)
        many |= {(*each, narrow): together(bench, each, {**args, "model": path}) for each in NARROW}
    windows = windows_sides(bench, model)
    features = [o.prepare("logmel", samples=args["samples"]) for o in bench.ours]
    live |= streams
    sides = [side for sides in [*live.values(), *many.values(), features] for side in sides] + windows
    times = iter(bench.take_turns(sides))

    costs = {name: [per_second(next(times), MINUTE) for _ in sides] for name, sides in live.items()}
    for each, own in many.items():
        costs[name_streams(*each)] = [per_second(next(times), each[0] * each[2]) for _ in own]
    made = [per_second(next(times), MINUTE) for _ in features]
    again = [per_second(next(times), HOP) for _ in windows]
    n = len(bench.ours)
    costs["windows, polyphon"] = [plus(net, f) for net, f in zip(again, made)]
    for name, net in zip(ONNX, again[n:]):
        costs[f"windows, {name}"] = [plus(net, f) for f in made]
    table = tabulate(bench, costs, describe("pi", MIDDLE, facts))
    bench.forget()
    kilobytes = max(side.facts["bytes"] for each, own in many.items() if each[0] == 1000 for side in own) / 1e3
    return table + ["", f"The streams' probabilities differ by {delta:.1e} at most. One of a thousand takes at most {kilobytes:.0f} kB. "
                    f"{call_overhead(bench)}"]


def together(bench, each, args):
    """Returns the sides that run many streams."""
    streams, group, step = each
    return [o.prepare("streams", streams=streams, group=group, step=step, **args) for o in bench.ours]


def name_streams(streams, group, step, narrow=""):
    weights = f"{narrow} weights, " if narrow else ""
    together = f"{streams:,} streams" + ("" if group == 1 else " in a group" if group == streams else f" in groups of {group}")
    return f"{weights}{together}, step {1000 * step:.0f} ms"


def windows_sides(bench, model):
    """Returns the sides that run the network over a second of sound: ours, then ONNX Runtime's."""
    args = dict(model=model, rows=bench.floats("rows", 2 * normals(1, FRAMES, MELS) - 4), batch=1, frames=FRAMES)
    files = bench.onnx_files()
    bench.pytorch(1).prepare("net", **args, onnx=files)
    sides = [o.prepare("plan", threads=1, **args) for o in bench.ours] + bench.onnx_sides(files, [1, MELS, FRAMES], 1)
    differences(sides, bench.work, 1e-3)
    return sides


def per_second(times, seconds):
    return [t / seconds for t in times]


def plus(a, b):
    return [x + y for x, y in zip(a, b)]


def tabulate(bench, costs, network):
    """Returns a table of what a second costs each way, beside the first way and the ways of windows."""
    against = [name for name in costs if name.startswith(("one pass", "windows"))]
    columns = [f"{title}, µs" for title in bench.titles] + [f"ratio {title}: {', '.join(against)}" for title in bench.titles]
    table = Table(network, *columns, *(f"streams {title}" for title in bench.titles))
    for name, found in costs.items():
        ratios = [", ".join(ratio(own, costs[other][k]) for other in against) for k, own in enumerate(found)]
        table.row(name, *(spread(own, 1e6) for own in found), *ratios, *(f"{1 / statistics.median(own):,.0f}" for own in found))
    return table.lines
