"""ResNet: blocks that add to their input what they have learned, so that a hundred of them can be trained.

He et al. 2016, "Deep residual learning for image recognition", table 1 and figure 5; the stride stands on the 3x3 convolution
of a bottleneck, and names of the layers are as in torchvision. `small_resnet` is the kind of section 4.2, for small images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nn import init
from nn.activations import ReLU
from nn.containers import Sequential
from nn.convolution import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import BatchNorm2d
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from nn.shaping import Identity

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "small_resnet"]


class BasicBlock(Module):
    """relu(x + bn(conv3x3(relu(bn(conv3x3(x)))))): two convolutions of `planes` channels, the first one with a stride.

    downsample  what makes x fit what is added to it, where channels or size change
    """

    expansion = 1  # channels of the result / planes

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__()
        self.conv1 = Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(planes)
        self.relu = ReLU()
        self.conv2 = Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(planes)
        self.downsample = downsample

    def residual(self, input: Any) -> Any:
        """What is added to the input."""
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(input)))))

    def forward(self, input: Any) -> Any:
        return self.relu(self.residual(input) + (input if self.downsample is None else self.downsample(input)))


class Bottleneck(Module):
    """As `BasicBlock`, with a 3x3 convolution of `planes` channels between a 1x1 one that reduces and one that restores 4 * planes."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__()
        self.conv1 = Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = BatchNorm2d(planes * self.expansion)
        self.relu = ReLU()
        self.downsample = downsample

    def residual(self, input: Any) -> Any:
        """What is added to the input."""
        x = self.relu(self.bn1(self.conv1(input)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))

    def forward(self, input: Any) -> Any:
        return self.relu(self.residual(input) + (input if self.downsample is None else self.downsample(input)))


class ResNet(Module):
    """(N, in_channels, H, W) -> (N, num_classes) logits.

    block        `BasicBlock` or `Bottleneck`, or a function that makes one
    layers       how many blocks each stage has
    widths       planes of each stage's blocks; from the second stage on the size is halved
    small        begin with a 3x3 convolution that keeps the size, for images of 32 x 32 and less, instead of 7x7 and a pool that
                 divide it by 4
    """

    def __init__(
        self,
        block: Any,
        layers: Sequence[int],
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        small: bool = False,
    ) -> None:
        super().__init__()
        self.inplanes = widths[0]
        self.conv1 = Conv2d(in_channels, widths[0], 3 if small else 7, stride=1 if small else 2, padding=1 if small else 3, bias=False)
        self.bn1 = BatchNorm2d(widths[0])
        self.relu = ReLU()
        self.maxpool = Identity() if small else MaxPool2d(3, stride=2, padding=1)
        self.stages = [f"layer{i + 1}" for i in range(len(layers))]
        for i, (name, planes, count) in enumerate(zip(self.stages, widths, layers, strict=True)):
            setattr(self, name, self._stage(block, planes, count, stride=1 if i == 0 else 2))
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(self.inplanes, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _stage(self, block: Any, planes: int, count: int, stride: int) -> Sequential:
        inplanes, self.inplanes = self.inplanes, planes * block.expansion
        downsample = None
        if stride != 1 or inplanes != self.inplanes:
            downsample = Sequential(Conv2d(inplanes, self.inplanes, 1, stride=stride, bias=False), BatchNorm2d(self.inplanes))
        first = block(inplanes, planes, stride, downsample)
        return Sequential(first, *[block(self.inplanes, planes) for _ in range(1, count)])

    def forward(self, input: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(input))))
        for name in self.stages:
            x = getattr(self, name)(x)
        x = self.avgpool(x)
        return self.fc(x.reshape((x.shape[0], -1)))


def resnet18(num_classes: int = 1000) -> ResNet:
    """18 layers: 11,689,512 parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes)


def resnet34(num_classes: int = 1000) -> ResNet:
    """34 layers: 21,797,672 parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes)


def resnet50(num_classes: int = 1000) -> ResNet:
    """50 layers: 25,557,032 parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes)


def resnet101(num_classes: int = 1000) -> ResNet:
    """101 layers: 44,549,160 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes)


def resnet152(num_classes: int = 1000) -> ResNet:
    """152 layers: 60,192,808 parameters."""
    return ResNet(Bottleneck, (3, 8, 36, 3), num_classes)


def small_resnet(num_classes: int = 10, in_channels: int = 1, widths: Sequence[int] = (16, 32, 64), blocks: int = 1) -> ResNet:
    """For small images (section 4.2, with 1x1 convolutions where the size changes): 6 * blocks + 2 layers with three widths."""
    return ResNet(BasicBlock, (blocks,) * len(widths), num_classes, in_channels=in_channels, widths=widths, small=True)
