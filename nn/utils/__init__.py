"""torch's `nn.utils`: clipping of gradients, parameters as a vector or computed from others, batches of sequences."""

from nn.clipping import clip_grad_adaptive_, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from nn.utils import parametrizations, parametrize, rnn
from nn.utils.reparametrize import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from nn.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_adaptive_",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
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
