"""Classify WAV files one at a time with PyTorch and torchaudio: the peer of `classify --format csv FILE...`.

Reads the same model file, does the same work (read, log-mel, network, softmax) and prints file and label, so that the
answers can be compared as well as the times.

    /usr/bin/python3 bench/pytorch/classify.py --model models/base.safetensors --threads 2 DIR
"""
import argparse
import json
import pathlib
import struct
import sys
import time

import numpy
import torch
import torchaudio

from polynet import PolyNet


def read_safetensors(path):
    """Returns (tensors by name, metadata) of a float32 safetensors file."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(data[8 + length + begin : 8 + length + end], dtype="<f4")
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
    return tensors, {k: json.loads(v) if v[:1] in "[{" else v for k, v in metadata.items()}


def load(path):
    """Returns (network in eval mode, log-mel function, labels, window in samples)."""
    tensors, metadata = read_safetensors(path)
    features, norm = metadata["features"], metadata["norm"]
    net = PolyNet(**network_arguments(metadata["net"]))
    # polyphon stores a convolution as (kernel, in, out) and a matrix as (in, out); PyTorch the other way round.
    state = net.state_dict()
    for name in state:
        if name.endswith("num_batches_tracked"):
            continue
        t = tensors[name]
        t = t.permute(2, 1, 0) if t.dim() == 3 else t.t() if t.dim() == 2 else t
        state[name] = t.reshape(state[name].shape).contiguous()
    net.load_state_dict(state)
    net.eval()
    slaney = features["scale"] == "slaney"
    mel = torchaudio.transforms.MelSpectrogram(
        sample_rate=features["rate"], n_fft=features["fft"], win_length=features["window"], hop_length=features["hop"],
        n_mels=features["mels"], f_min=features["min_hz"], f_max=features["max_hz"], power=2.0, center=True,
        pad_mode="constant", norm="slaney" if slaney else None, mel_scale=features["scale"])
    mean, std = (torch.tensor(norm[k])[:, None] for k in ("mean", "std"))

    limit = norm.get("limit", float("inf"))

    def rows(samples):
        return ((torch.log(mel(samples) + features["floor"]) - mean) / std).clamp(-limit, limit)

    window = round(float(metadata["window"]) * features["rate"])
    return net, rows, metadata["labels"], window


def network_arguments(net):
    return {k: net[k] for k in ("inputs", "classes", "block", "stem", "stages", "dropout")}


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
    parser.add_argument("dir")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    net, rows, labels, window = load(args.model)
    files = sorted(str(p) for p in pathlib.Path(args.dir).rglob("*.wav"))
    started = time.perf_counter()
    with torch.no_grad():
        for name in files:
            samples, _ = torchaudio.load(name)
            p = torch.softmax(net(rows(fit_window(samples.mean(0, keepdim=True), window))), dim=-1)[0]
            top = int(p.argmax())
            print(f"{name},{labels[top]},{float(p[top]):.4f}")
    seconds = time.perf_counter() - started
    print(f"{len(files)} files in {seconds:.3f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
