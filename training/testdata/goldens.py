"""Writes blocks.npz, int8.npz, ternary.npz and curves.npz, PyTorch's answers for the tests of package training.

    /usr/bin/python3 training/testdata/goldens.py

Blocks and network are written out from their equations with torch.nn.functional, in float64; inputs and weights are
float32 values. Convolutions' weights have polyphon's shape (kernel, in, out), activations are (batch, frames,
channels).
"""
import pathlib

import numpy
import torch
from torch.nn import functional

HERE = pathlib.Path(__file__).parent
KINDS = ("linear", "relu", "pi", "pi-relu", "pi1x1", "pi1x1-relu", "pi-tanh", "ccp", "ncp", "ncp-skip", "star", "mu")
RELU = ("relu", "pi-relu", "pi1x1-relu")
DEGREE = 3  # of ccp and ncp


NARROW = None  # the precision of weights that are not float32


def conv(x, weight, ahead, stride=1):
    groups = x.shape[1] // weight.shape[1]
    if NARROW and groups == 1:
        x, weight = rounded(x), quantised(weight)
    x = functional.pad(x, (weight.shape[0] - 1 - ahead, ahead))
    return functional.conv1d(x, weight.permute(2, 1, 0), stride=stride, groups=groups)


def quantised(weight):
    """What the levels and scales of a weight (kernel, in, out) stand for, with a straight-through gradient."""
    v = weight.detach()
    if NARROW == "int8":
        scale = (v.abs().amax((0, 1)) / 127).float().double()
        levels = torch.round(v / scale)
    else:
        kept = v.abs() > 0.7 * v.abs().mean((0, 1))
        scale = ((v.abs() * kept).sum((0, 1)) / kept.sum((0, 1))).float().double()
        levels = v.sign() * kept
    return weight + scale * levels - v


def rounded(x):
    """x in 8 bits, of which a thousandth is clamped, with a straight-through gradient."""
    sizes = x.detach().abs().flatten().sort().values
    scale = (sizes[-(-999 * len(sizes) // 1000) - 1].float() / 127).double()
    clamped = x.clamp(-127.5 * scale, 127.5 * scale)
    return clamped + (scale * torch.round(x / scale).clamp(-127, 127) - clamped).detach()


def norm(x, w, name):
    return functional.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".weight"],
                                 w[name + ".bias"], training=True, momentum=0.1, eps=1e-5)


def layer(x, w, conv_name, norm_name, ahead=0, stride=1):
    return norm(conv(x, w[conv_name + ".weight"], ahead, stride), w, norm_name)


def one(x, w, name):
    """A conv1x1 and its norm."""
    return layer(x, w, name + ".conv", name + ".norm")


def block(kind, x, w, name, ahead, stride):
    if kind == "ccp":
        return ccp(x, w, name, ahead, stride)
    if kind in ("ncp", "ncp-skip"):
        return ncp(kind, x, w, name, ahead, stride)
    if kind in ("star", "mu"):
        return modulated(kind, x, w, name, ahead, stride)
    act = torch.relu if kind in RELU else lambda v: v
    s = x
    if name + ".skip.conv.weight" in w:
        s = layer(x, w, name + ".skip.conv", name + ".skip.norm", 0, stride)
    f = act(layer(x, w, name + ".conv1", name + ".norm1", ahead, stride))
    f = layer(f, w, name + ".conv2", name + ".norm2", ahead)
    if kind in ("linear", "relu"):
        return act(f + s)
    z = f * s
    if kind == "pi-tanh":
        z = torch.tanh(z)
    z = norm(z, w, name + ".product.norm") if kind in ("pi", "pi-relu") else one(z, w, name + ".product")
    return act(f + s + w[name + ".product.scale"] * z)


def modulated(kind, x, w, name, ahead, stride):
    if name + ".front.conv.weight" in w:
        x = layer(x, w, name + ".front.conv", name + ".front.norm", min(1, ahead), stride)
    u = layer(x, w, name + ".depthwise.conv", name + ".depthwise.norm", ahead)
    if kind == "star":
        a, b = one(u, w, name + ".a"), one(u, w, name + ".b")
        return x + one(a + a * b, w, name + ".out")
    a, b = one(u, w, name + ".time.a"), one(conv(u, w[name + ".time.low.weight"], 0), w, name + ".time.b")
    y = x + one(a + a * b, w, name + ".time.out")
    a, b = one(y, w, name + ".mix.a"), one(conv(y, w[name + ".mix.low.weight"], 0), w, name + ".mix.b")
    return y + one(a + a * b, w, name + ".mix.out")


def ccp(z, w, name, ahead, stride):
    factor = lambda n: layer(z, w, f"{name}.conv{n}", f"{name}.norm{n}", ahead, stride)
    x = factor(1)
    for n in range(2, DEGREE + 1):
        x = w[f"{name}.scale{n}"] * factor(n) * x + x
    return one(x, w, name + ".out")


def ncp(kind, z, w, name, ahead, stride):
    factor = lambda n: layer(z, w, f"{name}.conv{n}", f"{name}.norm{n}", ahead, stride)
    x = factor(1)
    for n in range(2, DEGREE + 1):
        y = factor(n) * one(x, w, f"{name}.nest{n}")
        if kind == "ncp-skip":
            y = y + one(x, w, f"{name}.skip{n}")
        x = y
    return one(x, w, name + ".out")


class Weights(dict):
    """Random weights by polyphon's names; those that are trained require gradients."""

    def __init__(self, seed):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def add(self, name, value, trained=True):
        self[name] = value.float().double().requires_grad_(trained)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.random, dtype=torch.float64)

    def conv(self, name, kernel, inputs, outputs):
        self.add(name + ".weight", self.normal(kernel, inputs, outputs) * (2 / (kernel * outputs)) ** 0.5)

    def norm(self, name, width):
        self.add(name + ".weight", 1 + 0.2 * self.normal(width))
        self.add(name + ".bias", 0.2 * self.normal(width))
        self.add(name + ".running_mean", torch.zeros(width), False)
        self.add(name + ".running_var", torch.ones(width), False)

    def layer(self, conv, norm, kernel, inputs, width):
        self.conv(conv, kernel, inputs, width)
        self.norm(norm, width)

    def one(self, name, inputs, width):
        self.layer(name + ".conv", name + ".norm", 1, inputs, width)

    def scale(self, name):
        self.add(name, torch.tensor([0.3]))

    def block(self, kind, name, inputs, width, kernel, stride):
        if kind in ("ccp", "ncp", "ncp-skip"):
            return self.decomposition(kind, name, inputs, width, kernel)
        if kind in ("star", "mu"):
            return self.modulated(kind, name, inputs, width, kernel, stride)
        self.layer(name + ".conv1", name + ".norm1", kernel, inputs, width)
        self.layer(name + ".conv2", name + ".norm2", kernel, width, width)
        if inputs != width or stride != 1:
            self.one(name + ".skip", inputs, width)
        if kind in ("linear", "relu"):
            return
        if kind in ("pi", "pi-relu"):
            self.norm(name + ".product.norm", width)
        else:
            self.one(name + ".product", width, width)
        self.scale(name + ".product.scale")

    def modulated(self, kind, name, inputs, width, kernel, stride):
        if inputs != width or stride != 1:
            self.layer(name + ".front.conv", name + ".front.norm", min(3, kernel), inputs, width)
        self.layer(name + ".depthwise.conv", name + ".depthwise.norm", kernel, 1, width)
        if kind == "star":
            self.one(name + ".a", width, 4 * width)
            self.one(name + ".b", width, 4 * width)
            self.one(name + ".out", 4 * width, width)
            return
        for part, hidden in (".time", width), (".mix", 3 * width):
            self.one(name + part + ".a", width, hidden)
            self.conv(name + part + ".low", 1, width, max(2, width // 8))
            self.one(name + part + ".b", max(2, width // 8), hidden)
            self.one(name + part + ".out", hidden, width)

    def decomposition(self, kind, name, inputs, width, kernel):
        for n in range(1, DEGREE + 1):
            self.layer(f"{name}.conv{n}", f"{name}.norm{n}", kernel, inputs, width)
            if n > 1 and kind == "ccp":
                self.scale(f"{name}.scale{n}")
            elif n > 1:
                self.one(f"{name}.nest{n}", width, width)
                if kind == "ncp-skip":
                    self.one(f"{name}.skip{n}", width, width)
        self.one(name + ".out", width, width)

    def trained(self):
        return {k: v for k, v in self.items() if v.requires_grad}


def rows(x):
    """(batch, channels, frames) as float32 (batch, frames, channels)."""
    return x.detach().transpose(1, 2).float().numpy()


def store(out, prefix, tensors):
    for name, value in tensors.items():
        out[f"{prefix}/{name}"] = value.detach().float().numpy().copy()


def blocks(file, kinds):
    """One block of each kind: 3 clips of 11 frames, 5 to 6 channels with stride 2, and 6 to 6 with stride 1."""
    out = {}
    for kind in kinds:
        for inputs, stride in ((5, 2), (6, 1)):
            name = f"{kind}-{stride}"
            w = Weights(7)
            w.block(kind, "b", inputs, 6, 5, stride)
            store(out, name + "/weights", w)
            x = w.normal(3, inputs, 11).float().double().requires_grad_()
            y = block(kind, x, w, "b", 1, stride)
            dy = w.normal(*y.shape).float().double()
            y.backward(dy)
            out.update({f"{name}/x": rows(x), f"{name}/y": rows(y), f"{name}/dy": rows(dy), f"{name}/dx": rows(x.grad)})
            store(out, name + "/gradients", {k: v.grad for k, v in w.trained().items()})
            store(out, name + "/running", {k: v for k, v in w.items() if not v.requires_grad})
    numpy.savez_compressed(HERE / file, **out)


def network(kind, x, w):
    act = torch.relu if kind in RELU else lambda v: v
    x = act(norm(conv(x, w["stem.conv.weight"], 2, 2), w, "stem.norm"))
    x = block(kind, x, w, "stages.0.0", 1, 1)
    x = block(kind, x, w, "stages.1.0", 0, 2)
    x = block(kind, x, w, "stages.1.1", 0, 1)
    return x.mean(-1) @ w["head.weight"] + w["head.bias"]


def train(prefix, kind, make, x, labels, out):
    """Ten steps: warm-up over three, then cosine; label smoothing 0.1; decay on convolutions and the head's weight
    only."""
    w = Weights(11)
    w.conv("stem.conv", 5, 6, 8)
    w.norm("stem.norm", 8)
    w.block(kind, "stages.0.0", 8, 8, 3, 1)
    w.block(kind, "stages.1.0", 8, 10, 4, 2)
    w.block(kind, "stages.1.1", 10, 10, 4, 1)
    w.add("head.weight", w.normal(10, 4) * 0.3)
    w.add("head.bias", torch.zeros(4))
    store(out, prefix + "/before", w)
    decayed = [v for v in w.trained().values() if v.dim() > 1]
    others = [v for v in w.trained().values() if v.dim() <= 1]
    optimizer = make([{"params": decayed}, {"params": others, "weight_decay": 0.0}])
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [
        torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 3, 1, 2),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7)], [3])
    losses, rates = [], []
    for step in range(10):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(kind, x[step], w), labels[step], label_smoothing=0.1)
        loss.backward()
        losses.append(loss.item())
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    out[prefix + "/losses"], out[prefix + "/rates"] = numpy.float32(losses), numpy.float32(rates)
    store(out, prefix + "/after", w)


def sgd(groups):
    return torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)


def adamw(groups):
    return torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1)


def curves():
    random = torch.Generator().manual_seed(3)
    x = torch.randn(10, 6, 6, 21, generator=random).double()
    labels = torch.randint(0, 4, (10, 6), generator=random)
    out = {"x": x.transpose(2, 3).float().numpy(), "labels": labels.float().numpy()}
    train("sgd", "pi", sgd, x, labels, out)
    train("adamw", "relu", adamw, x, labels, out)
    train("star", "star", sgd, x, labels, out)
    train("mu", "mu", sgd, x, labels, out)
    numpy.savez_compressed(HERE / "curves.npz", **out)


if __name__ == "__main__":
    blocks("blocks.npz", KINDS)
    curves()
    for NARROW in ("int8", "ternary"):
        blocks(NARROW + ".npz", ("pi", "ncp-skip", "star"))
