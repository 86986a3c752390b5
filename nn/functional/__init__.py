"""The layers' mathematics as functions, under torch's names.

They take tensors and plain arrays. Where torch says `dim`, `axis` works too. What is fused for speed or for stability is an
operation made with the public `ag.op`, and differentiates to any order.
"""

from nn.functional.activations import celu, elu, gelu, glu, logsigmoid, mish, selu, sigmoid, silu, softplus, softsign, tanh, tanhshrink
from nn.functional.attention import scaled_dot_product_attention
from nn.functional.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from nn.functional.losses import cross_entropy, mse_loss
from nn.functional.multihead import multi_head_attention_forward
from nn.functional.normalisation import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from nn.functional.piecewise import hardshrink, hardsigmoid, hardswish, hardtanh, leaky_relu, prelu, relu, relu6, rrelu, softshrink, threshold
from nn.functional.products import bilinear, linear
from nn.functional.softmax import gumbel_softmax, log_softmax, maxout, softmax, softmin

__all__ = [
    "alpha_dropout",
    "batch_norm",
    "bilinear",
    "celu",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "feature_alpha_dropout",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "maxout",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]
