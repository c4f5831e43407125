"""A network whose convolutions compute with int8, for ONNX Runtime: weights and what convolutions read pass through
pairs of QuantizeLinear and DequantizeLinear, with norms folded into the weights, a scale for each output channel and
scales of inputs that cover what a batch has.
"""
import copy

import torch
from torch import nn
from torch.nn import functional

from polynet import AheadConv

LIMIT = 127


class QuantisedConv(nn.Module):
    def __init__(self, conv, norm, largest):
        super().__init__()
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = (conv.weight * factor[:, None, None]).detach()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter((norm.bias - norm.running_mean * factor).detach())
        self.register_buffer("scales", weight.abs().amax((1, 2)).clamp(min=1e-8) / LIMIT)
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.int32))
        self.scale, self.conv = largest / LIMIT, conv

    def forward(self, x):
        left, right = self.conv.reach(x.shape[-1])
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, 0, -LIMIT - 1, LIMIT)
        weight = torch.fake_quantize_per_channel_affine(self.weight, self.scales, self.zeros, 0, -LIMIT - 1, LIMIT)
        if left != right:
            x, left = functional.pad(x, (left, right)), 0
        return functional.conv1d(x, weight, self.bias, self.conv.stride, left)


@torch.no_grad()
def quantised(net, x):
    """Returns the network with quantised convolutions, whose scales fit the batch x. It has no depthwise ones."""
    net = copy.deepcopy(net)
    largest, hooks = {}, []

    def read(conv, inputs):
        largest[conv] = float(inputs[0].abs().max())

    for conv in net.modules():
        if isinstance(conv, AheadConv):
            hooks.append(conv.register_forward_pre_hook(read))
    net(x)
    for hook in hooks:
        hook.remove()
    for module in list(net.modules()):
        for name, conv in list(module._modules.items()):
            if isinstance(conv, AheadConv):
                norm = name.replace("conv", "norm")
                module._modules[name] = QuantisedConv(conv, module._modules[norm], largest[conv])
                module._modules[norm] = nn.Identity()
    return net.eval()
