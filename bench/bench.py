"""One run of the benchmark: its workers, its files and how long it measures."""
import functools
import os

import numpy

from harness import BIN, HERE, PYTHON, Worker, take_turns

FRAMES, MELS = 101, 40  # of a clip of one second

# The widths of the networks' four stages; see modelArgs in bench/polyphon for the rest. None is the embedded model.
SMALL, MIDDLE, LARGE = (24, 32, 48, 64), (32, 40, 56, 72), (48, 64, 96, 128)
EMBEDDED = None

# The network as PyTorch exports it, and the same over images of one row, for which ONNX Runtime has faster kernels.
ONNX = ["ONNX Runtime", "ONNX Runtime 2-D"]

TITLES = {"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON", "generic": "plain Go"}


class Bench:
    def __init__(self, work, quick, data):
        self.work, self.quick, self.data = work, quick, data
        self.rounds, self.sample = (3, 0.005) if quick else (9, 0.02)
        self.threads = [1] if quick else [1, 2]
        self.workers = []
        best = self.start("polyphon", [BIN / "bench-polyphon"])
        self.ours = [best]
        if best.hello["kernels"] == "avx512":
            self.ours.append(self.start("polyphon with AVX2", [BIN / "bench-polyphon"], POLYPHON_CPU="avx2"))
        self.titles = [TITLES[w.hello["kernels"]] for w in self.ours]

    def start(self, name, command, threads=1, **environment):
        worker = Worker(name, command, threads, **environment)
        self.workers.append(worker)
        return worker

    def close(self):
        for worker in self.workers:
            worker.close()

    def forget(self):
        """Frees what the workers have prepared."""
        for worker in self.workers:
            worker.ask(do="forget")

    @functools.cache
    def pytorch(self, threads):
        # Debian's OpenBLAS does not know newer AMD processors and would take them for machines without AVX-512.
        coretype = {"OPENBLAS_CORETYPE": "SKYLAKEX"} if self.ours[0].hello["kernels"] == "avx512" else {}
        return self.start("PyTorch", [PYTHON, HERE / "pytorch/worker.py", "--threads", threads], threads,
                          OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS=str(threads), **coretype)

    @functools.cached_property
    def onnxruntime(self):
        return self.start("ONNX Runtime", ["node", HERE / "onnxruntime/worker.js"])

    @functools.cached_property
    def gopeers(self):
        return self.start("Go libraries", [BIN / "bench-gopeers"], GOMAXPROCS="1")

    def path(self, name):
        return str(self.work / name)

    def floats(self, name, values):
        """Writes values to a file for the workers and returns its path."""
        numpy.ascontiguousarray(values, "<f4").tofile(self.path(name))
        return self.path(name)

    def take_turns(self, sides):
        return take_turns(sides, self.rounds, self.sample)

    def with_peaks(self, sides):
        """Lets the sides take turns, and loops of multiply-adds with them. Returns the sides' times and what the loop
        reached in its best round with each of our kernel sets, in FLOP/s: the machine's speed varies, and with it the
        limit."""
        loops = [w.prepare("peak") for w in self.ours]
        times = self.take_turns(sides + loops)
        peaks = [loop.facts["flops"] / min(found) for loop, found in zip(loops, times[len(sides):])]
        return times[: len(sides)], peaks

    def onnx_files(self):
        """Returns the names of the files that a case of PyTorch's writes for ONNX Runtime."""
        return {name: self.path(f"onnx-{name}") for name in ("plain", "image", "input")}

    def onnx_sides(self, files, shape, threads, arrange=lambda result: result, names=("plain", "image")):
        """Returns ONNX Runtime's sides for the named files; those of ONNX, in that order, where none are named."""
        sides = [self.onnxruntime.prepare("model", onnx=files[name], input=files["input"], shape=shape, threads=threads)
                 for name in names]
        for side in sides:
            side.arrange = arrange
        return sides

    @functools.cache
    def model(self, block, widths, narrow=""):
        """Returns (a model file of random weights, what is known of it); widths are those of its stages, and narrow
        names the precision of its weights, where that is not float32."""
        name = f"{block}-{widths[0]}{narrow}.safetensors" if widths else ""
        path = str(HERE.parent / "models/base.safetensors") if widths is EMBEDDED else self.path(name)
        args = dict(path="" if widths is EMBEDDED else path, block=block, widths=widths or [], frames=FRAMES)
        if narrow:
            args["narrow"] = dict(weights=narrow, stem=True, head=True)
        return path, self.ours[0].prepare("model", **args).facts


def describe(block, widths, facts):
    """Names a network in a table."""
    size = facts["parameters"]
    size = f"{size / 1e6:.2f} M" if size > 999_500 else f"{size / 1e3:.0f} k"
    return f"embedded, {size}" if widths is EMBEDDED else f"`{block}` {size} ({' '.join(map(str, widths))})"


def stages(widths):
    """Returns (frames, width) of each stage."""
    return [(FRAMES if i == 0 else -(-FRAMES // 2**i), width) for i, width in enumerate(widths)]


def normals(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape, dtype=numpy.float32)


def padded(x, pad):
    """Lays clips (clips, frames, width) out as a network's activations: pad zero rows before each and after the
    last."""
    clips, frames, width = x.shape
    memory = numpy.zeros((pad + clips * (frames + pad), width), numpy.float32)
    memory[pad:].reshape(clips, frames + pad, width)[:, :frames] = x
    return memory
