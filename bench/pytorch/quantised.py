"""Networks whose convolutions compute with int8: weights with the norms folded in and a scale for each output channel.
They have no depthwise convolutions.

`static` and `dynamic` are for ONNX Runtime: what convolutions read has a scale that covers what a batch has, or one
that each call finds. `native` is PyTorch's own, with scales of the first kind.
"""
import copy

import torch
from torch import nn
from torch.nn import functional

from images import ImageNet
from polynet import AheadConv

LIMIT = 127
ZERO = 128  # of unsigned bytes, where those stand for values of either sign


def norm_after(conv):
    """Returns the name of the norm that follows a convolution."""
    head, _, name = conv.rpartition(".")
    return f"{head}.{name.replace('conv', 'norm')}"


def replaced(net, make):
    """Returns the network with make(name, conv, weight, bias) in the place of each convolution and its norm; weight and
    bias are those of both together."""
    net = copy.deepcopy(net)
    for name, conv in list(net.named_modules()):
        if isinstance(conv, AheadConv):
            norm = net.get_submodule(norm_after(name))
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = (conv.weight * factor[:, None, None]).detach()
            made = make(name, conv, weight, (norm.bias - norm.running_mean * factor).detach())
            for path, module in ((name, made), (norm_after(name), nn.Identity())):
                head, _, last = path.rpartition(".")
                net.get_submodule(head)._modules[last] = module
    return net.eval()


@torch.no_grad()
def scales(net, x):
    """Returns by name the scales of what convolutions read, and of what norms return, for the batch x."""
    found, hooks = {}, []
    for name, module in net.named_modules():
        if isinstance(module, (AheadConv, nn.BatchNorm1d)):
            def watch(module, inputs, output, name=name):
                seen = inputs[0] if isinstance(module, AheadConv) else output
                found[name] = float(seen.abs().max()) / LIMIT
            hooks.append(module.register_forward_hook(watch))
    net(x)
    for hook in hooks:
        hook.remove()
    return found


def channel_scales(weight):
    return weight.abs().amax((1, 2)).clamp(min=1e-8) / LIMIT


class StaticConv(nn.Module):
    """Weights and input pass through pairs of QuantizeLinear and DequantizeLinear."""

    def __init__(self, conv, weight, bias, scale):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.register_buffer("scales", channel_scales(weight))
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.int32))
        self.scale, self.conv = scale, conv

    def forward(self, x):
        left, right = self.conv.reach(x.shape[-1])
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, 0, -LIMIT - 1, LIMIT)
        weight = torch.fake_quantize_per_channel_affine(self.weight, self.scales, self.zeros, 0, -LIMIT - 1, LIMIT)
        if left != right:
            x, left = functional.pad(x, (left, right)), 0
        return functional.conv1d(x, weight, self.bias, self.conv.stride, left)


def static(net, x):
    """Returns the network with QDQ nodes, whose scales fit the batch x."""
    found = scales(net, x)
    return replaced(net, lambda name, conv, weight, bias: StaticConv(conv, weight, bias, found[name]))


class IntegerConv(torch.autograd.Function):
    """The nodes that ONNX Runtime's quantize_dynamic puts in the place of a convolution; in PyTorch, that with its
    rounded weights. It is over images: ConvInteger takes twice as long over rows, and three times with signed weights.
    """

    @staticmethod
    def forward(ctx, x, weight, scales, bias, stride, left, right):
        weight = (weight.float() - ZERO) * scales[..., None]
        return functional.conv2d(functional.pad(x, (left, right)), weight, None, (1, stride)) + bias

    @staticmethod
    def symbolic(g, x, weight, scales, bias, stride, left, right):
        zero = g.op("Constant", value_t=torch.tensor(ZERO, dtype=torch.uint8))
        x, scale, x_zero = g.op("DynamicQuantizeLinear", x, outputs=3)
        y = g.op("ConvInteger", x, weight, x_zero, zero, strides_i=[1, stride], pads_i=[0, left, 0, right])
        y = g.op("Cast", y, to_i=torch.onnx.TensorProtoDataType.FLOAT)
        return g.op("Add", g.op("Mul", y, g.op("Mul", scale, scales)), bias)


class DynamicConv(nn.Module):
    def __init__(self, conv, weight, bias):
        super().__init__()
        scales = channel_scales(weight)[:, None, None]
        self.register_buffer("weight", ((weight / scales).round() + ZERO).to(torch.uint8).unsqueeze(2))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", bias[:, None, None])
        self.reach, self.stride = conv.reach, conv.stride[0]

    def forward(self, x):
        left, right = self.reach(x.shape[-1])
        return IntegerConv.apply(x, self.weight, self.scales, self.bias, self.stride, left, max(right, 0))


def dynamic(net):
    """Returns the network, over images, whose convolutions find their input's range in each call."""
    return ImageNet(replaced(net, lambda name, conv, weight, bias: DynamicConv(conv, weight, bias))).eval()


class NativeConv(nn.Module):
    """Reads float32 or quantised values. Returns quantised ones where only a convolution reads them; sums and products
    of float32 are faster than quantised ones."""

    def __init__(self, conv, weight, bias, scale, result, quantised):
        super().__init__()
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        self.weight = torch.quantize_per_channel(weight, channel_scales(weight).double(), zeros, 0, torch.qint8)
        self.bias, self.conv = bias, conv
        self.scale, self.result, self.quantised = scale, result, quantised

    def forward(self, x):
        left, right = self.conv.reach(x.shape[-1])
        if not x.is_quantized:
            x = torch.quantize_per_tensor(x, self.scale, ZERO, torch.quint8)
        if left != right:
            x, left = functional.pad(x, (left, right)), 0
        # Freezing the trace makes it a constant.
        packed = torch.ops.quantized.conv1d_prepack(self.weight, self.bias, self.conv.stride, [left], [1], 1)
        y = torch.ops.quantized.conv1d(x, packed, self.result, ZERO)
        return y if self.quantised else y.dequantize()


def native(net, x):
    """Returns the network quantised for PyTorch, whose scales fit the batch x."""
    torch.backends.quantized.engine = "onednn"
    found = scales(net, x)
    return replaced(net, lambda name, conv, weight, bias: NativeConv(
        conv, weight, bias, found[name], found[norm_after(name)], name.endswith("conv1")))
