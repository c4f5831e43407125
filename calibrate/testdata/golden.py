#!/usr/bin/env python3
"""Writes golden.json: calibration metrics and fits of random logits by PyTorch 1.13 and SciPy, for TestGolden.

Run it in this folder. Metrics follow Metrics/metrics.py of Mukhoti et al. (2020), restated here, with the two
differences that package calibrate documents.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize, minimize_scalar

BINS, N, C = 15, 600, 6


def ece(confidence, hit, edges):
    total, worst = 0.0, 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(hit[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
            worst = max(worst, gap)
    return total, worst


def metrics(z, y):
    p = F.softmax(z, dim=1)
    q = p.numpy()
    confidence, hit = q.max(1), (q.argmax(1) == y.numpy()).astype(float)
    width = np.linspace(0, 1, BINS + 1)
    mass = np.interp(np.linspace(0, N, BINS + 1), np.arange(N), np.sort(confidence))
    mass[0] -= 1e-9  # the smallest confidence counts
    one_hot = np.eye(C)[y.numpy()]
    expected, worst = ece(confidence, hit, width)
    return {
        "accuracy": 100 * hit.mean(), "ece": 100 * expected, "mce": 100 * worst,
        "adaptive_ece": 100 * ece(confidence, hit, mass)[0],
        "classwise_ece": 100 * np.mean([ece(q[:, c], one_hot[:, c], width)[0] for c in range(C)]),
        "nll": F.cross_entropy(z, y).item(), "brier": ((q - one_hot) ** 2).sum(1).mean(),
    }


def platt(x, hit):
    n = hit.sum()
    target = np.where(hit, (n + 1) / (n + 2), 1 / (len(hit) - n + 2))

    def loss(ab):
        f = ab[0] * x + ab[1]
        return np.sum(np.maximum(f, 0) + np.log1p(np.exp(-np.abs(f))) - target * f)

    return minimize(loss, [0, 0], method="BFGS", options={"gtol": 1e-8}).x


def main():
    rng = np.random.default_rng(7)
    y = torch.tensor(rng.integers(0, C, N))
    z = torch.tensor(np.round(3 * rng.normal(size=(N, C)) + 4 * np.eye(C)[y.numpy()], 4))
    nll = lambda t: F.cross_entropy(z / t, y).item()
    loss = lambda t: nll(t) + np.log(t) ** 2 / N
    temperature = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}).x

    def vector_loss(x):
        w = torch.tensor(x, requires_grad=True)
        away = w - torch.tensor([1 / temperature] * C + [0.0] * C)
        loss = F.cross_entropy(z * w[:C] + w[C:], y, reduction="sum") + 0.1 * (away**2).sum()
        loss.backward()
        return loss.item() / N, w.grad.numpy() / N

    vector = minimize(vector_loss, [1 / temperature] * C + [0.0] * C, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    p = F.softmax(z, dim=1).numpy()
    odds = np.log(p / (1 - p))
    golden = {
        "classes": C, "logits": z.numpy().ravel().tolist(), "truth": y.tolist(),
        "metrics": metrics(z, y), "temperature": temperature, "scaled": metrics(z / temperature, y),
        "vector": vector.tolist(), "platt": [platt(odds[:, c], (y == c).numpy()).tolist() for c in range(C)],
    }
    with open("golden.json", "w") as f:
        json.dump(golden, f)


main()
