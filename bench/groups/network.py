from bench import EMBEDDED, FRAMES, LARGE, MELS, MIDDLE, ONNX, SMALL, describe, normals
from harness import Comparison, differences, microseconds, milliseconds

TITLE = "Networks"
ABOUT = """A run of a network over clips of one second (101 rows of 40 mels), log-mel rows in, logits out, 19 classes;
four stages of two blocks, kernel 9, stem kernel 5, strides 1 2 2 2. All sides have the same weights: random ones, the
embedded model's its own. polyphon's time includes the normalisation of the rows, the peers are given normalised ones.
"Layer by layer" is polyphon's network as training evaluates it, without folding or fusing."""

NETS = [("pi", SMALL), ("pi", MIDDLE), ("pi", LARGE), ("relu", MIDDLE), ("embedded", EMBEDDED)]


def rows(bench):
    table = Comparison(["network", "clips", "threads"], bench.titles, [*ONNX, "PyTorch"], "ms", ["layer by layer"], ["max abs Δlogit"])
    for block, widths in [("pi", MIDDLE)] if bench.quick else NETS:
        model, facts = bench.model(block, widths)
        name = describe(block, widths, facts)
        for batch in (1, 64):
            for threads in bench.threads:
                compare(bench, table, name, model, batch, threads)
                bench.forget()
    return table.lines + ["", call_overhead(bench)]


def compare(bench, table, name, model, batch, threads):
    # Such log-mel energies as sounds have; random models have the embedded one's normalisation, which limits them.
    args = dict(model=model, rows=bench.floats("rows", 2 * normals(batch, FRAMES, MELS) - 4), batch=batch, frames=FRAMES)
    files = bench.onnx_files()
    pytorch = bench.pytorch(threads).prepare("net", **args, onnx=files)
    sides = [o.prepare(case, threads=threads, **args) for case in ("plan", "network") for o in bench.ours]
    sides += bench.onnx_sides(files, [batch, MELS, FRAMES], threads) + [pytorch]
    delta = max(differences(sides, bench.work, 1e-3))
    times = bench.take_turns(sides)
    table.compare([name, batch, threads], times, milliseconds(times), [f"{delta:.1e}"])


def call_overhead(bench):
    """Returns a sentence on what calling ONNX Runtime costs, whatever the model."""
    shape, files = [1, MELS, FRAMES], bench.onnx_files()
    bench.pytorch(1).prepare("addition", shape=shape, onnx=files)
    side = bench.onnxruntime.prepare("model", onnx=files["plain"], input=files["input"], shape=shape, threads=1)
    (cell,) = microseconds(bench.take_turns([side]))
    return (f"Of ONNX Runtime's times, {cell} µs are the call from node: so much takes a model that only adds 1 to the "
            "input of one clip.")
