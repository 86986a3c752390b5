"""Layers, losses and initial values for neural networks, thin on top of `autograd_core`, under torch's names."""

from nn import functional, init, utils
from nn.activations import LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from nn.attention import MultiheadAttention
from nn.caches import KeyValueCache
from nn.checkpoint import load_checkpoint, save_checkpoint
from nn.containers import MLP, ModuleDict, ModuleList, Sequential
from nn.data import Batches, batches
from nn.init import manual_seed
from nn.linear import Linear
from nn.losses import CrossEntropyLoss, MSELoss
from nn.module import Module
from nn.normalisation import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from nn.parameter import Parameter
from nn.saving import load, save
from nn.stateless import functional_call

__all__ = [
    "MLP",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Batches",
    "CrossEntropyLoss",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KeyValueCache",
    "LayerNorm",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "batches",
    "functional",
    "functional_call",
    "init",
    "load",
    "load_checkpoint",
    "manual_seed",
    "save",
    "save_checkpoint",
    "utils",
]
