"""LeNet-5, the network that read cheques.

LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B; with all 6 x 16 maps connected and
softmax at the end, as it is built today.
"""

from __future__ import annotations

from typing import Any

from nn.activations import Tanh
from nn.convolution import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.pooling import AvgPool2d

__all__ = ["LeNet"]


class LeNet(Module):
    """Two convolutions and three linear layers: (N, in_channels, 28, 28) -> (N, num_classes) logits; 61,706 parameters."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, 6, 5, padding=2)
        self.conv2 = Conv2d(6, 16, 5)
        self.fc1 = Linear(16 * 5 * 5, 120)
        self.fc2 = Linear(120, 84)
        self.fc3 = Linear(84, num_classes)
        self.pool = AvgPool2d(2)
        self.activation = Tanh()

    def forward(self, input: Any) -> Any:
        x = self.pool(self.activation(self.conv1(input)))
        x = self.pool(self.activation(self.conv2(x)))
        x = x.reshape((x.shape[0], -1))
        return self.fc3(self.activation(self.fc2(self.activation(self.fc1(x)))))
