"""polyphon's residual networks in PyTorch, but for the regularised ones: the same layers, names and shapes, so that
weights pass between the two.

A residual network over time whose channels are mel bins. With block kind "pi" or "pi1x1" there is no activation
function anywhere: every output is a polynomial of the input (apart from batch norm's statistics while training).

    F   = BN(conv(BN(conv(x))))                 the first convolution may have a stride
    S   = x, or BN(conv1x1(x)) where the block changes width or has a stride
    out = F + S                                 linear
    out = max(F + S, 0)                         relu; max(., 0) after the stem's and the first norm as well
    out = F + S + a * BN(F * S)                 pi; a is a learned scalar that starts at 0
    out = F + S + a * BN(conv1x1(F * S))        pi1x1
    out = F + S + a * BN(conv1x1(tanh(F * S)))  pi-tanh

pi-relu and pi1x1-relu have max(., 0) where relu has it.

    u   = BN(D conv x), one kernel for each channel
    out = x + BN(C (a + a * b))                 star; a = BN(A u), b = BN(B u), A and B to expansion times the channels

    y   = x + BN(C (a + a * b))                 mu; a = BN(A u), b = BN(B L u), L to an eighth of the channels
    out = y + BN(C' (a' + a' * b'))             a' = BN(A' y), b' = BN(B' L' y), A' and B' to three times as many

where a star or mu block that changes width or has a stride begins with x = BN(conv(x)).

PyTorch stores a convolution as (out, in, kernel) and polyphon as (kernel, in, out); otherwise the state dicts agree.
"""
import math

import torch
from torch import nn
from torch.nn import functional

KINDS = ("linear", "relu", "pi", "pi-relu", "pi1x1", "pi1x1-relu", "pi-tanh", "star", "mu")


class AheadConv(nn.Conv1d):
    """Output t reads inputs t*stride - (kernel-1-ahead) ... t*stride + ahead; T rows in give ceil(T/stride) out."""

    def __init__(self, inputs, outputs, kernel, ahead=0, stride=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.ahead = ahead
        nn.init.normal_(self.weight, std=math.sqrt(2 * groups / (kernel * outputs)))

    def reach(self, rows):
        """Returns how many rows of zeros belong before so many and after them."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        left = kernel - 1 - self.ahead
        last = (rows - 1) // stride * stride  # the input row under the last output
        right = last + self.ahead - (rows - 1)  # negative where the stride leaves rows unread
        # The same on both sides costs no copy; rows after those that the last output reads do no harm.
        if left >= right and (rows + 2 * left - kernel) // stride == (rows - 1) // stride:
            right = left
        return left, right

    def forward(self, x):
        left, right = self.reach(x.shape[-1])
        if left == right:
            return functional.conv1d(x, self.weight, None, self.stride, left, groups=self.groups)
        return functional.conv1d(functional.pad(x, (left, right)), self.weight, None, self.stride, groups=self.groups)


class Normed(nn.ModuleDict):
    """A convolution and its batch norm, named as in the model file."""

    def __init__(self, inputs, outputs, kernel, ahead=0, stride=1, groups=1):
        super().__init__({"conv": AheadConv(inputs, outputs, kernel, ahead, stride, groups),
                          "norm": nn.BatchNorm1d(outputs)})

    def forward(self, x):
        return self["norm"](self["conv"](x))


class Product(nn.Module):
    """a * BN(F * S), the second-order term."""

    def __init__(self, width, mixed, bounded):
        super().__init__()
        if mixed:
            self.conv = AheadConv(width, width, 1)
        self.norm = nn.BatchNorm1d(width)
        # At 0 the network starts as a plain linear one and batch norm never sees a product of zero variance.
        self.scale = nn.Parameter(torch.zeros(1))
        self.mixed, self.bounded = mixed, bounded

    def forward(self, f, s):
        product = f * s
        if self.bounded:
            product = torch.tanh(product)
        if self.mixed:
            product = self.conv(product)
        return self.scale * self.norm(product)


class Block(nn.Module):
    def __init__(self, kind, inputs, width, kernel, ahead, stride):
        super().__init__()
        self.conv1 = AheadConv(inputs, width, kernel, ahead, stride)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = AheadConv(width, width, kernel, ahead)
        self.norm2 = nn.BatchNorm1d(width)
        self.skip = Normed(inputs, width, 1, 0, stride) if stride != 1 or inputs != width else None
        self.product = Product(width, kind[:5] == "pi1x1" or kind == "pi-tanh", kind == "pi-tanh") if kind[:2] == "pi" else None
        self.relu = kind.endswith("relu")

    def forward(self, x):
        f = self.norm1(self.conv1(x))
        if self.relu:
            f = functional.relu(f)
        f = self.norm2(self.conv2(f))
        s = x if self.skip is None else self.skip(x)
        y = f + s
        if self.product is not None:
            y = y + self.product(f, s)
        return functional.relu(y) if self.relu else y


class Modulated(nn.Module):
    """x + BN(C (a + a * b)), a and b two maps of u, b of the given rank if any. scale is what C's norm begins with."""

    def __init__(self, width, hidden, rank, scale):
        super().__init__()
        self.a = Normed(width, hidden, 1)
        self.low = AheadConv(width, rank, 1) if rank else None
        self.b = Normed(rank or width, hidden, 1)
        self.out = Normed(hidden, width, 1)
        nn.init.constant_(self.out["norm"].weight, scale)

    def forward(self, x, u):
        a, b = self.a(u), self.b(u if self.low is None else self.low(u))
        return x + self.out(a + a * b)


def resized(inputs, width, kernel, ahead, stride):
    """The convolution before a block that changes width or has a stride, else None."""
    if stride == 1 and inputs == width:
        return None
    return Normed(inputs, width, min(3, kernel), min(1, ahead), stride)


class Star(Modulated):
    """The block of StarNet (Ma et al., 2024) without its activation."""

    def __init__(self, inputs, width, kernel, ahead, stride, scale, expansion):
        super().__init__(width, expansion * width, 0, scale)
        self.front = resized(inputs, width, kernel, ahead, stride)
        self.depthwise = Normed(width, width, kernel, ahead, groups=width)

    def forward(self, x):
        x = x if self.front is None else self.front(x)
        return super().forward(x, self.depthwise(x))


class Mu(nn.Module):
    """Two layers of MONet (Cheng et al., 2024) with batch norms."""

    def __init__(self, inputs, width, kernel, ahead, stride, scale):
        super().__init__()
        rank = max(2, width // 8)
        self.front = resized(inputs, width, kernel, ahead, stride)
        self.depthwise = Normed(width, width, kernel, ahead, groups=width)
        self.time = Modulated(width, width, rank, scale)
        self.mix = Modulated(width, 3 * width, rank, scale)

    def forward(self, x):
        x = x if self.front is None else self.front(x)
        x = self.time(x, self.depthwise(x))
        return self.mix(x, x)


def make(kind, index, expansion, *shape):
    """Returns block number index of the network."""
    scale = 0.5 ** (1 + index // 3)
    if kind == "star":
        return Star(*shape, scale, expansion or 4)
    return Mu(*shape, scale) if kind == "mu" else Block(kind, *shape)


class PolyNet(nn.Module):
    """Stem, stages of blocks, mean over time, dropout, linear head. Input (batch, inputs, rows), output logits.

    stem is {width, kernel, ahead, stride}; stages is a list of {width, blocks, kernel, ahead, stride}, the stride
    being that of the stage's first convolution. expansion is that of star blocks, 0 standing for 4.
    """

    def __init__(self, inputs, classes, block, stem, stages, dropout=0.0, expansion=0):
        super().__init__()
        if block not in KINDS:
            raise ValueError(f"unknown block kind {block!r}")
        self.stem = Normed(inputs, stem["width"], stem["kernel"], stem["ahead"], stem["stride"])
        self.relu = block.endswith("relu")
        self.stages = nn.ModuleList()
        width, index = stem["width"], 0
        for stage in stages:
            blocks = []
            for i in range(stage["blocks"]):
                stride = stage["stride"] if i == 0 else 1
                shape = width, stage["width"], stage["kernel"], stage["ahead"], stride
                blocks.append(make(block, index, expansion, *shape))
                width, index = stage["width"], index + 1
            self.stages.append(nn.Sequential(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        if self.relu:
            x = functional.relu(x)
        for stage in self.stages:
            x = stage(x)
        return self.head(self.dropout(x.mean(-1)))


def parameters(net):
    """Returns the number of trained values."""
    return sum(p.numel() for p in net.parameters())


def lookahead(net):
    """Returns how many feature rows after an instant the network reads for its answer."""
    rows, stride = 0, 1
    layers = [layer for name, layer in net.named_modules() if isinstance(layer, AheadConv) and "skip" not in name]
    for layer in layers:  # in the order of the blocks' longest paths, but for convolutions that read one row
        rows, stride = rows + layer.ahead * stride, stride * layer.stride[0]
    return rows


def multiplications(net, rows):
    """Returns the multiply-adds of the convolutions and the head for one clip of so many rows."""
    total = net.head.weight.numel()

    def count(layer, _, y):
        nonlocal total
        total += y.shape[-1] * layer.weight.numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, AheadConv)]
    training = net.training
    net.eval()
    with torch.no_grad():
        net(torch.zeros(1, net.stem["conv"].in_channels, rows))
    net.train(training)
    for hook in hooks:
        hook.remove()
    return total
