"""DenseNet: each layer sees the results of all layers before it.

Huang et al. 2017, "Densely connected convolutional networks", section 3 and table 1. Names of the layers as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nn import functional, init
from nn.activations import ReLU
from nn.containers import ModuleDict, Sequential
from nn.convolution import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import BatchNorm2d
from nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]


class _DenseLayer(Module):
    """bn, relu, 1x1 to bottleneck * growth channels, bn, relu, 3x3 to growth channels: of all results so far, side by side."""

    def __init__(self, channels: int, growth: int, bottleneck: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(channels)
        self.relu1 = ReLU()
        self.conv1 = Conv2d(channels, bottleneck * growth, 1, bias=False)
        self.norm2 = BatchNorm2d(bottleneck * growth)
        self.relu2 = ReLU()
        self.conv2 = Conv2d(bottleneck * growth, growth, 3, padding=1, bias=False)
        self.dropout = dropout

    def forward(self, input: Any) -> Any:
        x = self.conv1(self.relu1(self.norm1(input)))
        x = self.conv2(self.relu2(self.norm2(x)))
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


class _DenseBlock(ModuleDict):
    """Dense layers one after the other; the result is the input and all their results side by side."""

    def __init__(self, count: int, channels: int, growth: int, bottleneck: int, dropout: float) -> None:
        super().__init__({f"denselayer{i + 1}": _DenseLayer(channels + i * growth, growth, bottleneck, dropout) for i in range(count)})

    def forward(self, input: Any) -> Any:
        for layer in self.values():
            input = np.concatenate([input, layer(input)], axis=1)
        return input


class _Transition(Sequential):
    """Half as many channels, half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            {"norm": BatchNorm2d(channels), "relu": ReLU(), "conv": Conv2d(channels, channels // 2, 1, bias=False), "pool": AvgPool2d(2, stride=2)}
        )


class DenseNet(Module):
    """(N, 3, H, W) -> (N, num_classes) logits; H and W 32 at least, 224 in the paper.

    growth_rate        channels that each layer adds, k in the paper
    block_config       how many layers each block has
    num_init_features  channels of the first convolution
    bn_size            channels of a layer's 1x1 convolution / growth_rate
    drop_rate          dropout after each layer
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        channels = num_init_features
        features: dict[str, Module] = {
            "conv0": Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
            "norm0": BatchNorm2d(channels),
            "relu0": ReLU(),
            "pool0": MaxPool2d(3, stride=2, padding=1),
        }
        for i, count in enumerate(block_config, 1):
            features[f"denseblock{i}"] = _DenseBlock(count, channels, growth_rate, bn_size, drop_rate)
            channels += count * growth_rate
            if i < len(block_config):
                features[f"transition{i}"] = _Transition(channels)
                channels //= 2
        features["norm5"] = BatchNorm2d(channels)
        self.features = Sequential(features)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight)
        init.zeros_(self.classifier.bias)

    def forward(self, input: Any) -> Any:
        x = self.avgpool(functional.relu(self.features(input)))
        return self.classifier(x.reshape((x.shape[0], -1)))


def densenet121(num_classes: int = 1000) -> DenseNet:
    """121 layers: 7,978,856 parameters."""
    return DenseNet(32, (6, 12, 24, 16), 64, num_classes=num_classes)


def densenet161(num_classes: int = 1000) -> DenseNet:
    """161 layers: 28,681,000 parameters."""
    return DenseNet(48, (6, 12, 36, 24), 96, num_classes=num_classes)


def densenet169(num_classes: int = 1000) -> DenseNet:
    """169 layers: 14,149,480 parameters."""
    return DenseNet(32, (6, 12, 32, 32), 64, num_classes=num_classes)


def densenet201(num_classes: int = 1000) -> DenseNet:
    """201 layers: 20,013,928 parameters."""
    return DenseNet(32, (6, 12, 48, 32), 64, num_classes=num_classes)
