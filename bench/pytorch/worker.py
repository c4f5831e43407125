"""The PyTorch side of bench/run.py: a worker that speaks the language of bench/serve, with a case for each row of the
tables.

    /usr/bin/python3 bench/pytorch/worker.py --threads 2

A case is a function of its arguments that returns a Case. OpenBLAS is measured here too, through ctypes and without
PyTorch.
"""
import argparse
import warnings

import torch
import torchaudio

import openblas
import inference
import steps
from serving import serve


MAKERS = {
    "openblas product": openblas.product,
    "addition": inference.addition,
    "logmel": inference.logmel,
    "block": inference.block,
    "elementwise": inference.elementwise,
    "net": inference.net,
    "int8 net": inference.int8_net,
    "step": steps.step,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")  # the tracer's, about shapes that become constants, which they should
    serve({"torch": torch.__version__, "torchaudio": torchaudio.__version__}, MAKERS)


if __name__ == "__main__":
    main()
