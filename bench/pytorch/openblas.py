"""OpenBLAS's sgemm, called in a loop of C so that no call pays for Python."""
import ctypes
import functools
import pathlib

import numpy

from case import Case

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "openblas/repeat.c"


@functools.cache
def library():
    """Returns the library that bench/run.py has built."""
    lib = ctypes.CDLL(str(SOURCE.with_name("repeat.so")))
    lib.kernels.restype = ctypes.c_char_p
    return lib


def product(a, w, rows, depth, cols):
    """(rows, depth) by (depth, cols), both contiguous, in files."""
    a, w = (numpy.fromfile(path, "<f4") for path in (a, w))
    assert a.size == rows * depth and w.size == depth * cols
    y = numpy.zeros((rows, cols), numpy.float32)
    pointers = [ctypes.c_void_p(m.ctypes.data) for m in (y, a, w)]
    keep = (a, w)  # alive as long as the case

    def run(calls):
        library().repeat_sgemm(calls, *pointers, rows, cols, depth)
        return keep

    return Case(run, lambda: y, {"kernels": library().kernels().decode()})
