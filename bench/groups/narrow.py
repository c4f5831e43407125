from bench import FRAMES, LARGE, MELS, MIDDLE, ONNX, describe, normals
from harness import differences, ratio, spread, Table

TITLE = "Narrow weights"
ABOUT = """A run of a network over one clip of one second, as in the group of networks, on one thread, with weights of
float32, int8 and ternary ones; what convolutions read is rounded to 8 bits with the latter two. The peers' int8 is from
the same float32 weights, with the norms folded: ONNX Runtime's static, with QDQ nodes, and dynamic, and PyTorch's with
oneDNN. Weights read are those of a step: all of them, once, in the bytes that they take in memory before any
transform."""

PRECISIONS = ["float32", "int8", "ternary"]
BYTES = {"float32": 4, "int8": 1, "ternary": 1}  # of a weight in memory
QUANTISED = {"static": "ONNX Runtime static int8", "dynamic": "ONNX Runtime dynamic int8"}  # by their files' names
PEERS = [*ONNX, *QUANTISED.values(), "PyTorch int8"]


def rows(bench):
    names = [f"polyphon {title}" for title in bench.titles] + PEERS
    ratios = [f"ratio {title}: float32, {', '.join(PEERS)}" for title in bench.titles]
    table = Table("network", "weights", *(f"{name}, µs" for name in names), *ratios, "weights read, kB")
    for widths in [MIDDLE] if bench.quick else [MIDDLE, LARGE]:
        compare(bench, table, widths)
        bench.forget()
    return table.lines


def compare(bench, table, widths):
    model, facts = bench.model("pi", widths)
    args = dict(model=model, rows=bench.floats("rows", 2 * normals(1, FRAMES, MELS) - 4), batch=1, frames=FRAMES)
    files = bench.onnx_files() | {name: bench.path(f"onnx-{name}") for name in QUANTISED}
    bench.pytorch(1).prepare("net", **args, onnx=files)
    own = []
    for precision in PRECISIONS:
        path = model if precision == "float32" else bench.model("pi", widths, precision)[0]
        sides = [o.prepare("plan", threads=1, **{**args, "model": path}) for o in bench.ours]
        differences(sides, bench.work, 1e-3)
        own.append(sides)
    shape = [1, MELS, FRAMES]
    exact = bench.onnx_sides(files, shape, 1)
    differences([own[0][0], *exact], bench.work, 1e-3)
    rounded = bench.onnx_sides(files, shape, 1, names=QUANTISED) + [bench.pytorch(1).prepare("int8 net", **args)]
    differences([own[0][0], *rounded], bench.work, 0.5)  # rounding differs, and yet it is the same network
    sides = [side for sides in own for side in sides] + exact + rounded
    times = bench.take_turns(sides)
    n = len(bench.ours)
    peers = times[len(PRECISIONS) * n:]
    for i, precision in enumerate(PRECISIONS):
        found = times[i * n:(i + 1) * n]
        ratios = [", ".join(ratio(found[k], t) for t in [times[k], *peers]) for k in range(n)]
        table.row(describe("pi", widths, facts), precision, *(spread(t, 1e6) for t in [*found, *peers]), *ratios,
                  f"{BYTES[precision] * facts['weights'] / 1e3:,.0f}")
