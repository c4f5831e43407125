"""The PyTorch side of bench/run.py: a worker that speaks the language of bench/serve, with a case for each row of the tables.

    /usr/bin/python3 bench/pytorch/worker.py --threads 2

A case is a function of its arguments that returns a Case. OpenBLAS is measured here too, through ctypes and without PyTorch.
"""
import argparse
import json
import sys
import time
import warnings

import torch
import torchaudio

import openblas
import inference
import steps


def answer(request, hello, cases):
    do, name = request["do"], request.get("name")
    if do == "hello":
        return {"facts": hello}
    if do == "forget":
        cases.clear()
        return {}
    if do == "prepare":
        case = MAKERS[request["case"]](**request["args"])
        cases[name] = case
        return {"facts": case.facts}
    case = cases[name]
    if do == "result":
        case.run(1)
        case.result().astype("<f4").tofile(request["path"])
        return {}
    calls = request["calls"]
    case.run(1)  # brings caches and threads back
    started = time.perf_counter()
    case.run(calls)
    return {"seconds": (time.perf_counter() - started) / calls}


MAKERS = {
    "openblas product": openblas.product,
    "addition": inference.addition,
    "logmel": inference.logmel,
    "block": inference.block,
    "elementwise": inference.elementwise,
    "net": inference.net,
    "step": steps.step,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")  # the tracer's, about shapes that become constants, which they should
    hello = {"torch": torch.__version__, "torchaudio": torchaudio.__version__}
    cases = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), hello, cases)
        except Exception as e:
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
