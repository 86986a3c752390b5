"""VGG: depth out of small convolutions.

Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", table 1; with batch
normalisation (Ioffe & Szegedy 2015) as an option. Names of the layers as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nn import init
from nn.activations import ReLU
from nn.containers import Sequential
from nn.convolution import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import BatchNorm2d
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

# Channels of the convolutions of each stage, columns A, B, D and E of the paper's table 1; after a stage the size is halved.
COLUMNS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),
}


def _features(stages: Sequence[Sequence[int]], batch_norm: bool) -> Sequential:
    layers: list[Module] = []
    before = 3
    for stage in stages:
        for channels in stage:
            layers += [Conv2d(before, channels, 3, padding=1), *([BatchNorm2d(channels)] if batch_norm else []), ReLU()]
            before = channels
        layers.append(MaxPool2d(2, stride=2))
    return Sequential(*layers)


class VGG(Module):
    """(N, 3, H, W) -> (N, num_classes) logits; H and W 32 at least, 224 in the paper.

    stages      channels of the convolutions of each stage
    batch_norm  whether a batch normalisation follows each convolution
    dropout     between the linear layers
    hidden      units of the hidden linear layers
    """

    def __init__(
        self, stages: Sequence[Sequence[int]], batch_norm: bool = False, num_classes: int = 1000, dropout: float = 0.5, *, hidden: int = 4096
    ) -> None:
        super().__init__()
        self.features = _features(stages, batch_norm)
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(stages[-1][-1] * 7 * 7, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, num_classes),
        )
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                init.zeros_(module.bias)
            elif isinstance(module, Linear):
                init.normal_(module.weight, 0.0, 0.01)
                init.zeros_(module.bias)

    def forward(self, input: Any) -> Any:
        x = self.avgpool(self.features(input))
        return self.classifier(x.reshape((x.shape[0], -1)))


def vgg11(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column A: 132,863,336 parameters."""
    return VGG(COLUMNS[11], False, num_classes, dropout)


def vgg11_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column A with batch normalisation: 132,868,840 parameters."""
    return VGG(COLUMNS[11], True, num_classes, dropout)


def vgg13(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column B: 133,047,848 parameters."""
    return VGG(COLUMNS[13], False, num_classes, dropout)


def vgg13_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column B with batch normalisation: 133,053,736 parameters."""
    return VGG(COLUMNS[13], True, num_classes, dropout)


def vgg16(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column D: 138,357,544 parameters."""
    return VGG(COLUMNS[16], False, num_classes, dropout)


def vgg16_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column D with batch normalisation: 138,365,992 parameters."""
    return VGG(COLUMNS[16], True, num_classes, dropout)


def vgg19(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column E: 143,667,240 parameters."""
    return VGG(COLUMNS[19], False, num_classes, dropout)


def vgg19_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Column E with batch normalisation: 143,678,248 parameters."""
    return VGG(COLUMNS[19], True, num_classes, dropout)
