"""Writes PyTorch's weights for `train import`."""
import json
import struct

import torch


def write(path, state_dict, **metadata):
    """Writes a state dict as a safetensors file. metadata says what the weights do not, with the names and values of a
    model file's metadata: net, labels, features, norm, window. What is left out, `train import` asks for."""
    header = {"__metadata__": {"format": "pt", **{k: json.dumps(v) for k, v in metadata.items()}}}
    parts, end = [], 0
    for name, tensor in state_dict.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        raw = tensor.detach().cpu().contiguous().numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
