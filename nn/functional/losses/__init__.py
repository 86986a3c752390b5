"""Losses, with torch's names and arguments. `reduction` is "mean", "sum" or "none".

They take tensors, arrays and lists; arguments are checked by what they are, so that an error names the loss and both shapes.
"""

from nn.functional.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits, dice_loss, sigmoid_focal_loss
from nn.functional.losses.classification import cross_entropy, kl_div, linear_cross_entropy, nll_loss
from nn.functional.losses.embeddings import cosine_embedding_loss, triplet_margin_loss, triplet_margin_with_distance_loss
from nn.functional.losses.margins import (
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from nn.functional.losses.regression import gaussian_nll_loss, huber_loss, l1_loss, mse_loss, poisson_nll_loss, smooth_l1_loss
from nn.functional.losses.sequences import ctc_loss

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "dice_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "linear_cross_entropy",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
