"""The cases that run networks and features forward, as fast as PyTorch alone can: traced, frozen and optimised for
inference.

Where a case has `onnx`, it names files for ONNX Runtime: the module is written to `plain`, the one over images to
`image`, those with quantised convolutions to `static` and `dynamic`, where they are wanted, and their input to `input`.
"""
import numpy
import torch

import quantised
from case import Case, repeated
from images import ImageBlock, ImageNet
from modelfile import Model, mel_spectrogram
from polynet import Block

OPSET = 15


def read(path, *shape):
    return torch.from_numpy(numpy.fromfile(path, "<f4").reshape(shape))


def export(module, x, path):
    torch.onnx.export(module, x, path, opset_version=OPSET, input_names=["x"], output_names=["y"])


def forward(module, x, arrange, onnx=None, image=None):
    """Returns the Case of module(x). arrange puts the result into polyphon's order."""
    if onnx:
        for name, variant in (("plain", module), ("image", image)):
            if variant:
                export(variant, x, onnx[name])
        x.numpy().tofile(onnx["input"])
    with torch.no_grad():
        fast = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module.eval(), x)))
    result = None

    @torch.no_grad()
    def run(calls):
        nonlocal result
        for _ in range(calls):
            result = fast(x)

    return Case(run, lambda: arrange(result).numpy())


def rows_first(y):
    return y.transpose(-1, -2).contiguous()


def as_it_is(y):
    return y


class Addition(torch.nn.Module):
    def forward(self, x):
        return x + 1


def addition(shape, onnx):
    """Next to nothing, to learn what a call costs."""
    return forward(Addition(), torch.zeros(shape), as_it_is, onnx)


def logmel(samples, features):
    """Log-mel rows of a file's samples; features is polyphon's configuration."""
    mel, floor = mel_spectrogram(features), features["floor"]
    x = torch.from_numpy(numpy.fromfile(samples, "<f4"))
    result = None

    @torch.no_grad()
    def run():
        nonlocal result
        result = torch.log(mel(x) + floor)

    return Case(repeated(run), lambda: rows_first(result).numpy())


def network(model, rows, batch, frames):
    """Returns a model file's network and a batch of log-mel rows. Their normalisation is not part of a call."""
    m = Model(model)
    return m.net, m.normalise(read(rows, batch, frames, -1).transpose(1, 2)).contiguous()


def net(onnx, **args):
    module, x = network(**args)
    if "static" in onnx:
        export(quantised.static(module, x), x, onnx["static"])
    if "dynamic" in onnx:
        export(quantised.dynamic(module), x, onnx["dynamic"])
    return forward(module, x, as_it_is, onnx, ImageNet(module).eval())


def int8_net(**args):
    module, x = network(**args)
    return forward(quantised.native(module, x), x, as_it_is)


def clips(x, clips, frames, width, pad):
    """Returns the clips of a file, (clips, width, frames), without the padding around them."""
    padded = numpy.fromfile(x, "<f4").reshape(-1, width)[pad:].reshape(clips, frames + pad, width)
    return torch.from_numpy(padded[:, :frames].copy()).transpose(1, 2).contiguous()


def set_norm(norm, scale, shift):
    """Makes norm the map x → scale∘x + shift."""
    norm.weight.data, norm.bias.data = scale, shift
    norm.running_var.fill_(1 - norm.eps)


def pi_block(width, pad, w1, w2, norms):
    """Returns the `pi` block of the weights and norms in files; see blockArgs in bench/polyphon."""
    b = Block("pi", width, width, 2 * pad + 1, pad, 1).eval()
    for conv, path in ((b.conv1, w1), (b.conv2, w2)):
        conv.weight.data = read(path, -1, width, width).permute(2, 1, 0).contiguous()
    vectors = read(norms, 6, width)
    for i, norm in enumerate((b.norm1, b.norm2, b.product.norm)):
        set_norm(norm, vectors[2 * i], vectors[2 * i + 1])
    b.product.scale.data.fill_(1)
    return b


class Join(torch.nn.Module):
    """What a `pi` block does to its two branches."""

    def __init__(self, block):
        super().__init__()
        self.product = block.product

    def forward(self, x):
        f, s = x
        return f + s + self.product(f, s)


def block(x, w1, w2, norms, width, pad, onnx, **shape):
    """A `pi` block."""
    b = pi_block(width, pad, w1, w2, norms)
    return forward(b, clips(x, width=width, pad=pad, **shape), rows_first, onnx, ImageBlock(b).eval())


def elementwise(x, w1, w2, norms, width, pad, **shape):
    """What follows the block's second norm, with the clips as both operands."""
    x = clips(x, width=width, pad=pad, **shape)
    return forward(Join(pi_block(width, pad, w1, w2, norms)), torch.stack([x, x]), rows_first)
