"""torch's `nn.utils`: clipping of gradients, parameters as a vector or computed from others, batches of sequences."""

from nn.clipping import clip_grad_adaptive_, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from nn.utils import fusion, parametrizations, parametrize, rnn
from nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
from nn.utils.reparametrize import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from nn.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_adaptive_",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "fusion",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]
