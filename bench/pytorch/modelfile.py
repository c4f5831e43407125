"""Reads polyphon's model files into PyTorch."""
import json
import pathlib
import struct

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


class Model:
    """A model file: its network in eval mode, its labels, its window in samples, and what it does to sound before."""

    def __init__(self, path):
        tensors, metadata = read_safetensors(path)
        keys = ("inputs", "classes", "block", "stem", "stages", "dropout", "expansion")
        self.net = PolyNet(**{k: v for k, v in metadata["net"].items() if k in keys})
        state = self.net.state_dict()
        # polyphon stores a convolution as (kernel, in, out) and a matrix as (in, out); PyTorch the other way round.
        for name in state:
            if name.endswith("num_batches_tracked"):
                continue
            t = tensors[name]
            t = t.permute(2, 1, 0) if t.dim() == 3 else t.t() if t.dim() == 2 else t
            state[name] = t.reshape(state[name].shape).contiguous()
        self.net.load_state_dict(state)
        self.net.eval()
        self.labels, self.temperature = metadata["labels"], float(metadata["temperature"])
        self.features, norm = metadata["features"], metadata["norm"]
        self.window = round(float(metadata["window"]) * self.features["rate"])
        self.mean, self.std = (torch.tensor(norm[k])[:, None] for k in ("mean", "std"))
        self.limit = norm.get("limit", float("inf"))
        self.mel = mel_spectrogram(self.features)

    def normalise(self, rows):
        """Normalises log-mel energies (..., mels, rows)."""
        return ((rows - self.mean) / self.std).clamp(-self.limit, self.limit)

    def rows(self, samples):
        """Returns the network's input for samples: (..., mels, rows)."""
        return self.normalise(torch.log(self.mel(samples) + self.features["floor"]))


def mel_spectrogram(features):
    """Returns torchaudio's transform for a feature configuration of polyphon's."""
    return torchaudio.transforms.MelSpectrogram(
        sample_rate=features["rate"], n_fft=features["fft"], win_length=features["window"], hop_length=features["hop"],
        n_mels=features["mels"], f_min=features["min_hz"], f_max=features["max_hz"], power=2.0, center=True,
        pad_mode="constant", norm="slaney" if features["scale"] == "slaney" else None, mel_scale=features["scale"])
