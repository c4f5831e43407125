"""Makes the goldens *.npy: torchaudio's log-mel rows of the configurations in goldens.json.

Run in this folder: python3 goldens.py  (PyTorch 1.13.0, torchaudio 0.13.1; computed in float64, stored in float32)
"""

import json

import numpy as np
import torch
import torchaudio


def signal(samples, rate):
    """A chirp up to 0.45 of the rate over noise, in bursts between digital silence; signal in goldens_test.go is the
    same."""
    x = np.zeros(samples)
    state = 1
    for i in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        if i // 1500 % 4 != 3:
            phase = 50 * i / rate + 0.45 * i * i / (2 * samples)
            x[i] = 0.5 * np.sin(2 * np.pi * phase) + 0.01 * (state / 2**31 - 1)
    return x.astype(np.float32)


torch.set_default_dtype(torch.float64)
for golden in json.load(open("goldens.json")):
    c = golden["config"]
    slaney = c["scale"] == "slaney"
    mel = torchaudio.transforms.MelSpectrogram(
        sample_rate=c["rate"], n_fft=c["fft"], win_length=c["window"], hop_length=c["hop"], n_mels=c["mels"],
        f_min=c["min_hz"], f_max=c["max_hz"], power=2.0, center=True, pad_mode="constant",
        norm="slaney" if slaney else None, mel_scale=c["scale"])
    energy = mel(torch.from_numpy(signal(golden["samples"], c["rate"])).double())
    rows = torch.log(energy + c["floor"]).T.contiguous()
    np.save(golden["name"] + ".npy", rows.numpy().astype(np.float32))
