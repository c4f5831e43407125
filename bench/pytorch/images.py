"""Networks over images that are one row high. They compute what PolyNet does, and ONNX Runtime has faster kernels for
them: its blocked layouts are for two dimensions only."""
import copy

from torch import nn
from torch.nn import functional

from polynet import AheadConv


class ImageConv(nn.Module):
    """An AheadConv along an image's width."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        left, right = self.conv.reach(x.shape[-1])
        weight, stride = self.conv.weight.unsqueeze(2), (1, self.conv.stride[0])
        if left == right:
            return functional.conv2d(x, weight, None, stride, (0, left))
        return functional.conv2d(functional.pad(x, (left, right)), weight, None, stride)


def image_layers(module):
    """Replaces a module's layers over time by ones over images."""
    for name, child in module.named_children():
        if isinstance(child, AheadConv):
            setattr(module, name, ImageConv(child))
        elif isinstance(child, nn.BatchNorm1d):
            norm = nn.BatchNorm2d(child.num_features)
            norm.load_state_dict(child.state_dict())
            setattr(module, name, norm)
        else:
            image_layers(child)


class ImageBlock(nn.Module):
    """A Block; (batch, channels, rows) in and out."""

    def __init__(self, block):
        super().__init__()
        self.block = copy.deepcopy(block)
        image_layers(self.block)

    def forward(self, x):
        return self.block(x.unsqueeze(2)).squeeze(2)


class ImageNet(ImageBlock):
    """A PolyNet; (batch, inputs, rows) in, logits out."""

    def forward(self, x):
        net = self.block
        x = net.stem["norm"](net.stem["conv"](x.unsqueeze(2)))
        if net.relu:
            x = functional.relu(x)
        for stage in net.stages:
            x = stage(x)
        return net.head(x.mean((2, 3)))
