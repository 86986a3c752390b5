"""The layers' mathematics as functions, under torch's names.

They take tensors and plain arrays. Where torch says `dim`, `axis` works too. What is fused for speed or for stability is an
operation made with the public `ag.op`, and differentiates to any order.
"""

from nn.functional.activations import log_softmax, relu, sigmoid, softmax, tanh
from nn.functional.attention import scaled_dot_product_attention
from nn.functional.losses import cross_entropy, mse_loss
from nn.functional.multihead import multi_head_attention_forward
from nn.functional.normalisation import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from nn.functional.products import linear

__all__ = [
    "batch_norm",
    "cross_entropy",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "linear",
    "local_response_norm",
    "log_softmax",
    "mse_loss",
    "multi_head_attention_forward",
    "relu",
    "rms_norm",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "tanh",
]
