import statistics

import numpy
from numpy.lib.stride_tricks import sliding_window_view

from bench import LARGE, MIDDLE, SMALL, normals, padded, stages
from harness import Comparison, differences, spread, three

TITLE = "Matrix products"
ABOUT = """The products of the networks' stages, kernel 9, on one thread: (clips · frames, 9 · width) by (9 · width,
width). polyphon's weights are packed ahead; BLAS has no way to. "Windows" is how polyphon's networks run the same
product: the rows are overlapping windows of the activations, read in place, which allows fewer multiplications (minimal
filtering) than are counted here. The peak is what a loop of independent multiply-adds reached in the row's best round;
per cent are of it, for peers of the greater one."""

KERNEL = 9
PEERS = ["OpenBLAS", "gonum", "tensor"]


def rows(bench):
    table = Comparison(["clips", "rows × depth × columns"], bench.titles, PEERS, "GFLOP/s", ["windows"], ["peak, GFLOP/s"])
    for clips in (1, 64):
        for widths in [LARGE] if bench.quick else [SMALL, MIDDLE, LARGE]:
            for frames, width in stages(widths):
                openblas = compare(bench, table, clips, frames, width)
                bench.forget()
    return table.lines + ["", f"OpenBLAS ran its kernels for {openblas}."]


def compare(bench, table, clips, frames, width):
    """Adds a row and returns what OpenBLAS takes the processor for."""
    pad, depth = KERNEL // 2, KERNEL * width
    x = padded(normals(clips, frames, width), pad)
    starts = numpy.add.outer(numpy.arange(clips) * (frames + pad), numpy.arange(frames)).ravel()
    a = bench.floats("a", sliding_window_view(x, (KERNEL, width))[starts])
    w = bench.floats("w", normals(depth, width, seed=1))
    count = clips * frames
    matrix = dict(a=a, w=w, groups=1, group_stride=0, rows=count, step=depth, depth=depth, cols=width)
    windows = dict(matrix, a=bench.floats("x", x), groups=clips, group_stride=(frames + pad) * width, rows=frames, step=width)
    plain = dict(a=a, w=w, rows=count, depth=depth, cols=width)
    sides = [o.prepare("product", **args) for args in (matrix, windows) for o in bench.ours]
    openblas = bench.pytorch(1).prepare("openblas product", **plain)
    sides += [openblas] + [bench.gopeers.prepare(f"{name} product", **plain) for name in PEERS[1:]]
    differences(sides, bench.work, 1e-4)
    times, peaks = bench.with_peaks(sides)
    flops = 2 * count * depth * width

    def show(found, peak):
        return f"{spread([flops / t / 1e9 for t in found])}, {100 * flops / statistics.median(found) / peak:.0f} %"

    cells = map(show, times, peaks + peaks + [max(peaks)] * len(PEERS))
    table.compare([clips, f"{count} × {depth} × {width}"], times, cells, [", ".join(three(peak / 1e9) for peak in peaks)])
    return openblas.facts["kernels"]
