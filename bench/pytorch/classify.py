"""Classify WAV files with PyTorch and torchaudio: the peer of `classify --format csv FILE...`.

Reads the same model file, does the same work (read, log-mel, network, softmax) and prints file, label and probability,
so that the answers can be compared as well as the times.

    /usr/bin/python3 bench/pytorch/classify.py --model models/base.safetensors --threads 2 --batch 16 DIR|FILE
"""
import argparse
import pathlib
import sys
import time

import torch
import torchaudio

from modelfile import Model


def fit_window(samples, window):
    """Pads centred with zeros, or takes the first window."""
    missing = window - samples.shape[-1]
    if missing <= 0:
        return samples[..., :window]
    return torch.nn.functional.pad(samples, (missing // 2, missing - missing // 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1, help="clips that run together")
    parser.add_argument("path")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = Model(args.model)
    path = pathlib.Path(args.path)
    files = sorted(str(p) for p in path.rglob("*.wav")) if path.is_dir() else [str(path)]
    started = time.perf_counter()
    with torch.no_grad():
        for first in range(0, len(files), args.batch):
            names = files[first : first + args.batch]
            clips = [fit_window(torchaudio.load(name)[0].mean(0), model.window) for name in names]
            for name, p in zip(names, torch.softmax(model.net(model.rows(torch.stack(clips))), dim=-1)):
                top = int(p.argmax())
                print(f"{name},{model.labels[top]},{float(p[top]):.4f}")
    seconds = time.perf_counter() - started
    print(f"{len(files)} files in {seconds:.3f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
