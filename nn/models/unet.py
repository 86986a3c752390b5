"""U-Net: down to what an image shows, and up again to where it shows it.

Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", figure 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nn.activations import ReLU
from nn.containers import ModuleList, Sequential
from nn.convolution import Conv2d, ConvTranspose2d
from nn.module import Module
from nn.normalisation import BatchNorm2d
from nn.pooling import MaxPool2d

__all__ = ["UNet"]


def _double(before: int, channels: int, padding: int, batch_norm: bool) -> Sequential:
    """Two 3x3 convolutions, each with relu (and batch normalisation before it)."""
    layers: list[Module] = []
    for inputs in (before, channels):
        layers += [Conv2d(inputs, channels, 3, padding=padding, bias=not batch_norm), *([BatchNorm2d(channels)] if batch_norm else []), ReLU()]
    return Sequential(*layers)


class UNet(Module):
    """(N, in_channels, H, W) -> (N, num_classes, H', W') logits for each place.

    width       channels at the top; each level down has twice as many
    depth       how many levels there are below the top; H and W have to be divisible by 2^depth where `padding` is 1
    padding     1: H' = H; 0: convolutions see the image only, as in the paper, whose 572 x 572 become 388 x 388
    batch_norm  batch normalisation in place of the convolutions' biases (Ioffe & Szegedy 2015)

    What comes from the left is cropped to the middle where it is larger. 31,030,658 parameters with one channel in.
    """

    def __init__(
        self, in_channels: int = 1, num_classes: int = 2, width: int = 64, depth: int = 4, padding: int = 1, batch_norm: bool = False
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = ModuleList(
            [_double(before, channels, padding, batch_norm) for before, channels in zip([in_channels, *widths], widths, strict=False)]
        )
        self.pool = MaxPool2d(2)
        self.up = ModuleList([ConvTranspose2d(2 * channels, channels, 2, stride=2) for channels in reversed(widths[:-1])])
        self.merge = ModuleList([_double(2 * channels, channels, padding, batch_norm) for channels in reversed(widths[:-1])])
        self.head = Conv2d(width, num_classes, 1)

    def forward(self, input: Any) -> Any:
        x, left = input, []
        for i, down in enumerate(self.down):
            x = down(self.pool(x) if i else x)
            left.append(x)
        for up, merge, beside in zip(self.up, self.merge, reversed(left[:-1]), strict=True):
            x = up(x)
            x = merge(np.concatenate([_middle(beside, x.shape[2:]), x], axis=1))
        return self.head(x)


def _middle(x: Any, size: Any) -> Any:
    """The middle of images, of this height and width."""
    top, left = (x.shape[2] - size[0]) // 2, (x.shape[3] - size[1]) // 2
    return x if x.shape[2:] == size else x[:, :, top : top + size[0], left : left + size[1]]
