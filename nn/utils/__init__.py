"""torch's `nn.utils`: clipping of gradients, parameters as a vector, and batches of sequences (`nn.utils.rnn`)."""

from nn.clipping import clip_grad_adaptive_, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from nn.utils import rnn
from nn.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_adaptive_",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]
