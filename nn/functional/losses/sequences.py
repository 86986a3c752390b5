"""Connectionist temporal classification: the likelihood of a label sequence whose alignment to the frames is unknown.

A path names a class for each frame; without its repetitions and blanks it reads as a label sequence. The likelihood of the labels
is the sum over all paths that read so, computed by dynamic programming over the extended labels (blank, l_1, blank, ..., l_S, blank):
alpha[t, s] sums the paths' beginnings that are at s after frame t (Graves et al. 2006, eq. 6), beta their ends (eq. 10). Here both
are logarithms, and arrays over the batch and the labels; beta is alpha of the sequence read backwards, so that one recursion with
twice the batch computes both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.losses.arguments import as_input, chosen_reduction

__all__ = ["ctc_loss"]


def _integers(value: Any, name: str) -> Any:
    """Labels or lengths as a plain array of integers."""
    array = np.asarray(value.tolist() if isinstance(value, ag.Tensor) else value)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: {name} must be integers, not {array.dtype}")
    return array.astype(np.intp)


def _lengths(value: Any, name: str, batch: int, most: int) -> Any:
    lengths = _integers(value, name).reshape(-1)
    if lengths.shape != (batch,):
        raise ValueError(f"ctc_loss: {name} has {lengths.size} entries, but the batch has {batch} sequences")
    if batch and (lengths.min() < 0 or lengths.max() > most):
        raise ValueError(f"ctc_loss: {name} must be in [0, {most}], but holds {lengths[(lengths < 0) | (lengths > most)][0]}")
    return lengths


def _padded(targets: Any, lengths: Any, batch: int) -> Any:
    """The targets (N, S), also where they were given one after the other."""
    if targets.ndim == 2:
        if targets.shape[0] != batch:
            raise ValueError(f"ctc_loss: targets has shape {targets.shape}, but the batch has {batch} sequences")
        return targets
    if targets.ndim != 1 or lengths.sum() != targets.size:
        raise ValueError(
            f"ctc_loss: targets has shape {targets.shape}; expected (N, S), or all targets one after the other, "
            f"{int(lengths.sum())} labels as target_lengths says"
        )
    padded = np.zeros((batch, int(lengths.max(initial=0))), dtype=np.intp)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = targets
    return padded


def _extended(targets: Any, lengths: Any, blank: int) -> Any:
    """Blank, l_1, blank, ..., l_S, blank: (N, 2 S + 1)."""
    inside = np.arange(targets.shape[1]) < lengths[:, None]
    labels = np.full((len(targets), 2 * targets.shape[1] + 1), blank, dtype=np.intp)
    labels[:, 1::2] = np.where(inside, targets, blank)
    return labels


def _emissions(log_probs: Any, labels: Any) -> Any:
    """log_probs (T, N, C) of the labels (N, L): (T, N, L)."""
    return log_probs[:, np.arange(len(labels))[:, None], labels]


def _may_skip(labels: Any) -> Any:
    """Where a path may come from two labels before: to a label that differs from that one. A blank never does."""
    return np.pad(labels[:, 2:] != labels[:, :-2], ((0, 0), (min(2, labels.shape[1]), 0)))[:, : labels.shape[1]]


def _beginnings(emissions: Any, labels: Any) -> Any:
    """alpha[t, n, s]: log-probability of all beginnings of paths that are at label s after frame t (Graves et al. 2006, eq. 6-8)."""
    frames, batch, width = emissions.shape
    dtype = emissions.dtype
    alpha = np.full((frames, batch, width + 2), -np.inf, dtype=dtype)  # two columns before the first label
    alpha[0, :, 2:4] = emissions[0, :, :2]
    closed = np.where(_may_skip(labels), 0.0, -np.inf).astype(dtype)
    lowest = np.finfo(dtype).min  # the largest of three -inf, so that their difference to it is not nan
    terms, top = np.empty((3, batch, width), dtype), np.empty((batch, width), dtype)
    stay, step, skip = terms
    with np.errstate(divide="ignore"):
        for t in range(1, frames):
            before, now = alpha[t - 1], alpha[t, :, 2:]
            np.add(before[:, :-2], closed, out=skip)
            np.maximum(before[:, 2:], before[:, 1:-1], out=top)
            np.maximum(top, skip, out=top)
            np.maximum(top, lowest, out=top)
            np.subtract(before[:, 2:], top, out=stay)
            np.subtract(before[:, 1:-1], top, out=step)
            np.subtract(skip, top, out=skip)
            np.exp(terms, out=terms)
            np.add(stay, step, out=stay)
            np.add(stay, skip, out=stay)
            np.log(stay, out=stay)
            np.add(stay, top, out=stay)
            np.add(stay, emissions[t], out=now)
    return alpha[:, :, 2:]


def _likelihoods(alpha: Any, input_lengths: Any, target_lengths: Any) -> Any:
    """The log-likelihood (N,) of each target: its paths end in the last label or the blank behind it."""
    rows = np.arange(len(input_lengths))
    last = alpha[np.maximum(input_lengths - 1, 0), rows]
    in_blank = last[rows, 2 * target_lengths]
    in_label = np.where(target_lengths > 0, last[rows, np.maximum(2 * target_lengths - 1, 0)], -np.inf)
    likelihoods = np.logaddexp(in_blank, in_label)
    return np.where(input_lengths > 0, likelihoods, np.where(target_lengths > 0, -np.inf, 0.0)).astype(alpha.dtype)


def _backwards(length: Any, size: int) -> Any:
    """For each n the places length[n] - 1, ..., 0, then anything: (N, size)."""
    return np.maximum(length[:, None] - 1 - np.arange(size), 0)


def _likelihood_samples(a: Any) -> list[Any]:
    targets, input_lengths, target_lengths = np.array([[1, 1], [2, 0], [0, 0]]), np.array([4, 3, 2]), np.array([2, 1, 0])
    call = ag.call(a(4, 3, 3, low=-3.0, high=-0.1), targets, input_lengths, target_lengths, 0, False)
    return [call.only("labels and lengths are checked by ctc_loss")]


def _likelihood_rule(g: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int, zero_infinity: bool) -> Any:
    return -g[None, :, None] * _occupancy(log_probs, targets, input_lengths, target_lengths, blank, zero_infinity)


@ag.op(
    name="ctc_loss",
    log_probs=_likelihood_rule,
    real_only=True,
    samples=_likelihood_samples,
)
def _negative_log_likelihood(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int, zero_infinity: bool) -> Any:
    labels = _extended(targets, target_lengths, blank)
    losses = -_likelihoods(_beginnings(_emissions(log_probs, labels), labels), input_lengths, target_lengths)
    return np.where(losses == np.inf, 0, losses) if zero_infinity else losses


# The derivative of the occupancy is the curvature of the likelihood, which is symmetric.
def _occupancy_rule(g: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int) -> Any:
    return ag.hvp(lambda x: _recorded_likelihood(x, targets, input_lengths, target_lengths, blank))(log_probs, g)


@ag.op(
    name="ctc_occupancy",
    log_probs=_occupancy_rule,
    real_only=True,
    inert=("zero_infinity",),
    samples=_likelihood_samples,
)
def _occupancy(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int, zero_infinity: bool) -> Any:
    """The probability that the path is in class c at frame t, given the labels: d(log-likelihood) / d(log_probs), (T, N, C).

    Beyond a sequence's length it is 0. Of a target that no path of this length reads as it is nan, or 0 if `zero_infinity`.
    """
    frames, batch, classes = log_probs.shape
    labels = _extended(targets, target_lengths, blank)
    width = labels.shape[1]
    rows = np.arange(batch)
    when, where = _backwards(input_lengths, frames), _backwards(2 * target_lengths + 1, width)
    emissions = _emissions(log_probs, labels)
    reversed_emissions = emissions[when.T[:, :, None], rows[None, :, None], where[None]]
    both = np.concatenate([emissions, reversed_emissions], axis=1)
    both = _beginnings(both, np.concatenate([labels, labels[rows[:, None], where]]))
    alpha, beta = both[:, :batch], both[:, batch:][when.T[:, :, None], rows[None, :, None], where[None]]
    likelihoods = _likelihoods(alpha, input_lengths, target_lengths)
    impossible = np.isneginf(likelihoods)
    # alpha and beta both hold the emission at t. Where that is -inf, no path passes.
    passes = np.where(np.isneginf(emissions), 0.0, emissions) + np.where(impossible, np.inf if zero_infinity else np.nan, likelihoods)[:, None]
    inside = (np.arange(frames)[:, None] < input_lengths)[:, :, None] & (np.arange(width) < 2 * target_lengths[:, None] + 1)[None]
    share = np.where(inside, np.exp(np.where(inside, alpha + beta - passes, -np.inf)), 0.0)
    place = (np.arange(frames)[:, None, None] * batch + rows[:, None]) * classes + labels
    return np.bincount(place.ravel(), share.ravel(), log_probs.size).reshape(log_probs.shape).astype(log_probs.dtype)


# Stands for log(0) where rules are at work: the difference of two infinities would be nan.
_FAR_BELOW = -1e30


def _recorded_likelihood(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """The sum of all finite log-likelihoods again, written with differentiable functions: for the curvature only."""
    labels = _extended(targets, target_lengths, blank)
    frames, (batch, width) = log_probs.shape[0], labels.shape
    emissions = np.maximum(_emissions(log_probs, labels), _FAR_BELOW)
    closed = np.where(_may_skip(labels), 0.0, _FAR_BELOW).astype(log_probs.dtype)
    below = np.full((batch, 2), _FAR_BELOW, dtype=log_probs.dtype)
    alpha = np.where(np.arange(width) < 2, emissions[0], _FAR_BELOW)
    steps = [alpha]
    for t in range(1, frames):
        padded = np.concatenate([below, alpha], axis=1)
        alpha = np.logaddexp(np.logaddexp(alpha, padded[:, 1:-1]), padded[:, :-2] + closed) + emissions[t]
        steps.append(alpha)
    rows = np.arange(batch)
    last = np.stack(steps)[np.maximum(input_lengths - 1, 0), rows]
    in_label = np.where(target_lengths > 0, last[rows, np.maximum(2 * target_lengths - 1, 0)], _FAR_BELOW)
    likelihoods = np.logaddexp(last[rows, 2 * target_lengths], in_label)
    return np.sum(np.where((input_lengths > 0) & (likelihoods > _FAR_BELOW / 2), likelihoods, 0.0))


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """Connectionist temporal classification: -log of the probability of `targets`, over all alignments (Graves et al. 2006).

    log_probs       (T, N, C) or (T, C): logarithms of the probabilities of the classes at each frame, of `log_softmax`
    targets         class indices, (N, S), (S,), or those of all sequences one after the other, without blanks
    input_lengths   (N,) how many frames of each sequence count, or a number
    target_lengths  (N,) how many labels of each target count, or a number
    blank           the class that stands for no label
    reduction       "mean" divides each loss by the target's length (1 for an empty one) and averages over the batch
    zero_infinity   count a target that is too long for its frames as loss 0 with gradient 0; else its loss is inf, its gradient nan
    returns         a number, or (N,) for "none"
    raises          ValueError or TypeError naming the argument, and what was expected

    The gradient is that of what is computed: minus the probability of being in class c at frame t, given the target. torch adds
    exp(log_probs), the gradient through a log_softmax before, and relies on it: with respect to the logits both are the same, with
    respect to `log_probs` themselves ours is the derivative. It can be differentiated again, which torch's cannot.

    >>> import numpy as np
    >>> log_probs = np.log(np.full((2, 1, 2), 0.5))  # 2 frames, classes: blank and "a"; aa, a-, -a read as "a"
    >>> np.exp(-ctc_loss(log_probs, np.array([[1]]), [2], [1])).round(4)
    np.float64(0.75)
    """
    reduction = chosen_reduction("ctc_loss", None, None, reduction)
    log_probs = as_input(log_probs)
    if log_probs.ndim not in (2, 3) or log_probs.dtype.kind != "f":
        raise ValueError(
            f"ctc_loss: log_probs has shape {log_probs.shape}, {log_probs.dtype}; expected (T, N, C) or (T, C) of floating-point numbers"
        )
    batched = log_probs.ndim == 3
    frames, classes = log_probs.shape[0], log_probs.shape[-1]
    batch = log_probs.shape[1] if batched else 1
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank must be in [0, {classes - 1}], the classes of log_probs of shape {log_probs.shape}, not {blank}")
    lengths = _lengths(input_lengths, "input_lengths", batch, frames)
    labels = _integers(targets, "targets")
    target_sizes = _lengths(target_lengths, "target_lengths", batch, labels.shape[-1] if labels.ndim == 2 or not batched else labels.size)
    labels = _padded(labels if batched else labels.reshape((1, -1)), target_sizes, batch)
    counted = labels[np.arange(labels.shape[1]) < target_sizes[:, None]]
    if counted.size and (counted.min() < 0 or counted.max() >= classes):
        wrong = counted[(counted < 0) | (counted >= classes)][0]
        raise ValueError(f"ctc_loss: targets holds class {wrong}, but log_probs of shape {log_probs.shape} has classes 0..{classes - 1}")
    if not frames:
        log_probs = np.pad(log_probs, ((0, 1), *((0, 0),) * (log_probs.ndim - 1)))  # a frame that no sequence reaches
    losses = _negative_log_likelihood(
        log_probs if batched else log_probs.reshape((-1, 1, classes)), labels, lengths, target_sizes, blank, zero_infinity
    )
    if reduction == "mean":
        return np.mean(losses / np.maximum(target_sizes, 1).astype(log_probs.dtype))
    if reduction == "sum":
        return np.sum(losses)
    return losses if batched else losses.reshape(())
