"""GoogLeNet, the first Inception: convolutions of several sizes side by side.

Szegedy et al. 2015, "Going deeper with convolutions", table 1, with batch normalisation (Ioffe & Szegedy 2015). Names of the
layers as in torchvision, whose "5x5" convolutions are 3x3 ones, so that its weights fit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nn import functional, init
from nn.containers import Sequential
from nn.convolution import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import BatchNorm2d
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet"]


class GoogLeNetOutputs(NamedTuple):
    """What comes out in training: the logits, and those of the two classifiers on the way."""

    logits: Any
    aux_logits2: Any
    aux_logits1: Any


class _BasicConv2d(Module):
    """relu(bn(conv(x)))."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = BatchNorm2d(out_channels, eps=0.001)

    def forward(self, input: Any) -> Any:
        return functional.relu(self.bn(self.conv(input)))


class _Inception(Module):
    """Four branches, whose results lie side by side: 1x1; 1x1 then 3x3; 1x1 then "5x5"; pool then 1x1."""

    def __init__(self, channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int, pool_proj: int) -> None:
        super().__init__()
        self.branch1 = _BasicConv2d(channels, ch1x1, kernel_size=1)
        self.branch2 = Sequential(_BasicConv2d(channels, ch3x3red, kernel_size=1), _BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1))
        self.branch3 = Sequential(_BasicConv2d(channels, ch5x5red, kernel_size=1), _BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1))
        self.branch4 = Sequential(MaxPool2d(3, stride=1, padding=1, ceil_mode=True), _BasicConv2d(channels, pool_proj, kernel_size=1))

    def forward(self, input: Any) -> Any:
        return np.concatenate([self.branch1(input), self.branch2(input), self.branch3(input), self.branch4(input)], axis=1)


class _InceptionAux(Module):
    """A classifier on the way, which gives the layers below it a gradient."""

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.conv = _BasicConv2d(channels, 128, kernel_size=1)
        self.fc1 = Linear(2048, 1024)
        self.fc2 = Linear(1024, num_classes)
        self.pool = AdaptiveAvgPool2d(4)
        self.dropout = Dropout(dropout)

    def forward(self, input: Any) -> Any:
        x = self.conv(self.pool(input))
        return self.fc2(self.dropout(functional.relu(self.fc1(x.reshape((x.shape[0], -1))))))


class GoogLeNet(Module):
    """(N, 3, H, W) -> (N, num_classes) logits; in training with `aux_logits` a `GoogLeNetOutputs`.

    H and W are 15 at least, 224 in the paper. 6,624,904 parameters, and 6,379,984 in the classifiers on the way.
    """

    def __init__(self, num_classes: int = 1000, aux_logits: bool = True, dropout: float = 0.2, dropout_aux: float = 0.7) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        self.conv1 = _BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = _BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = _BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = _Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = _Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = _Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = _Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = _Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = _Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = _Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = _Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = _Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = _InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = _InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.fc = Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d | Linear):
                init.trunc_normal_(module.weight, std=0.01)

    def forward(self, input: Any) -> Any:
        x = self.maxpool1(self.conv1(input))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        aux1 = self.aux1(x) if self.aux1 is not None and self.training else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if self.aux2 is not None and self.training else None
        x = self.maxpool4(self.inception4e(x))
        x = self.avgpool(self.inception5b(self.inception5a(x)))
        logits = self.fc(self.dropout(x.reshape((x.shape[0], -1))))
        return GoogLeNetOutputs(logits, aux2, aux1) if aux1 is not None else logits


def googlenet(num_classes: int = 1000, aux_logits: bool = True) -> GoogLeNet:
    """GoogLeNet; see the class."""
    return GoogLeNet(num_classes, aux_logits)
