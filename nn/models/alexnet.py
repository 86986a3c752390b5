"""AlexNet, in its second form, for one processor.

Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", which simplifies Krizhevsky et al. 2012,
"ImageNet classification with deep convolutional neural networks". Names of the layers as in torchvision.
"""

from __future__ import annotations

from typing import Any

from nn.activations import ReLU
from nn.containers import Sequential
from nn.convolution import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d

__all__ = ["AlexNet", "alexnet"]


class AlexNet(Module):
    """(N, 3, H, W) -> (N, num_classes) logits; H and W 63 at least, 224 in the paper. 61,100,840 parameters.

    dropout  before each of the hidden linear layers
    hidden   how many units these have
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, *, hidden: int = 4096) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(3, 64, 11, stride=4, padding=2),
            ReLU(),
            MaxPool2d(3, stride=2),
            Conv2d(64, 192, 5, padding=2),
            ReLU(),
            MaxPool2d(3, stride=2),
            Conv2d(192, 384, 3, padding=1),
            ReLU(),
            Conv2d(384, 256, 3, padding=1),
            ReLU(),
            Conv2d(256, 256, 3, padding=1),
            ReLU(),
            MaxPool2d(3, stride=2),
        )
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(dropout),
            Linear(256 * 6 * 6, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, hidden),
            ReLU(),
            Linear(hidden, num_classes),
        )

    def forward(self, input: Any) -> Any:
        x = self.avgpool(self.features(input))
        return self.classifier(x.reshape((x.shape[0], -1)))


def alexnet(num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """AlexNet; see the class."""
    return AlexNet(num_classes, dropout)
