"""`SqueezeExcitation`: channels weighted by what the whole image says about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nn.activations import ReLU, Sigmoid
from nn.convolution import Conv2d
from nn.module import Module
from nn.pooling import AdaptiveAvgPool2d

__all__ = ["SqueezeExcitation"]


class SqueezeExcitation(Module):
    """X times a weight for each channel: scale_activation(fc2(activation(fc1(mean of x over places)))).

    input_channels    C of the images (N, C, H, W)
    squeeze_channels  how many numbers describe the image in between; C / 16 in the paper
    activation, scale_activation  classes of modules, or functions that make one

    Hu et al. 2018, "Squeeze-and-excitation networks", section 3; names as in torchvision.

    >>> import numpy as np, nn
    >>> nn.SqueezeExcitation(16, 4)(np.ones((2, 16, 5, 5), dtype=np.float32)).shape
    (2, 16, 5, 5)
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Callable[[], Any] = ReLU,
        scale_activation: Callable[[], Any] = Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Any) -> Any:
        return input * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input)))))
