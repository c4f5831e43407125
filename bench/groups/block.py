import statistics

from bench import LARGE, ONNX, SMALL, normals, padded, stages
from harness import Comparison, differences, microseconds, three

TITLE = "The Hadamard block"
ABOUT = """One `pi` block, F + S + a·BN(F∘S) with F = BN(conv(BN(conv(x)))) and S = x, kernel 9, on one thread.
Compiled, it is two products with everything else in their epilogues; unfused, the same products with a pass of its own
for each norm, Hadamard product and sum; plain, the same passes after products that multiply directly, without minimal
filtering. The floor of a block is its multiply-adds, as a direct product has them, at the measured peak; and the bytes
of its input, weights and output at the speed at which one thread copies as many bytes in memory. Minimal filtering
multiplies less than that count, so that a time below the first floor is possible. "Elementwise" is what follows the
second norm alone."""

KERNEL = 9
PAD = KERNEL // 2


def rows(bench):
    whole = Comparison(["block: clips × frames × width"], bench.titles, [*ONNX, "PyTorch"], "µs", ["unfused", "plain"],
                       ["floor by multiply-adds, µs", "floor by bytes, µs", "max abs Δ"])
    shapes = [(clips, *stage) for widths in ([LARGE] if bench.quick else [SMALL, LARGE]) for clips in (1, 64) for stage in stages(widths)]
    for shape in shapes:
        block(bench, whole, arguments(bench, *shape))
        bench.forget()
    join = Comparison(["elementwise: clips × frames × width"], bench.titles, ["PyTorch"], "µs", ["unfused"], ["max abs Δ"])
    for shape in shapes:
        elementwise(bench, join, arguments(bench, *shape))
        bench.forget()
    return whole.lines + [""] + join.lines


def name(args):
    return f"{args['clips']} × {args['frames']} × {args['width']}"


def arguments(bench, clips, frames, width):
    """Returns the arguments of a block of random weights whose numbers keep their size."""
    weights = [normals(KERNEL, width, width, seed=i) / (KERNEL * width) ** 0.5 for i in (1, 2)]
    norms = 0.1 * normals(6, width, seed=3)
    norms[0] += 1
    norms[2] += 1
    return dict(x=bench.floats("x", padded(normals(clips, frames, width), PAD)), w1=bench.floats("w1", weights[0]),
                w2=bench.floats("w2", weights[1]), norms=bench.floats("norms", norms), clips=clips, frames=frames, width=width, pad=PAD)


def block(bench, table, args):
    clips, frames, width = args["clips"], args["frames"], args["width"]
    files = bench.onnx_files()
    ways = (dict(fused=True), dict(fused=False), dict(fused=False, direct=True))
    sides = [o.prepare("block", **args, **way) for way in ways for o in bench.ours]
    pytorch = bench.pytorch(1).prepare("block", **args, onnx=files)
    sides += bench.onnx_sides(files, [clips, width, frames], 1, lambda y: y.reshape(clips, width, frames).transpose(0, 2, 1).ravel())
    sides += [pytorch]
    delta = max(differences(sides, bench.work, 1e-4))
    moved = 4 * (2 * clips * frames * width + 2 * KERNEL * width**2)
    (*times, copying), peaks = bench.with_peaks(sides + [bench.ours[0].prepare("copy", bytes=moved)])
    flops = 2 * 2 * clips * frames * KERNEL * width**2
    table.compare([name(args)], times, microseconds(times),
                  [three(1e6 * flops / max(peaks)), three(1e6 * statistics.median(copying)), f"{delta:.1e}"])


def elementwise(bench, table, args):
    sides = [o.prepare("elementwise", **args, fused=fused) for fused in (True, False) for o in bench.ours]
    sides.append(bench.pytorch(1).prepare("elementwise", **args))
    delta = max(differences(sides, bench.work, 1e-4))
    times = bench.take_turns(sides)
    table.compare([name(args)], times, microseconds(times), [f"{delta:.1e}"])
