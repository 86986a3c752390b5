"""Links of a `Chain`: each turns an update into another one, the gradient being the first and the last one being added.

    optim.Chain(params, clip_by_global_norm(1.0), scale_by_adam(), add_decayed_weights(1e-2), scale_by_learning_rate(1e-3))

is AdamW with clipping. A link is a rule, (update, parameter, state, hyperparameters) -> (update, state), with its hyperparameters,
which may be schedules. Names and defaults are optax's.
"""

from optim.transformations.clipping import adaptive_grad_clip, clip, clip_by_block_rms, clip_by_global_norm, zero_nans
from optim.transformations.link import Link, link, masked
from optim.transformations.moments import (
    ema,
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_belief,
    scale_by_lion,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    scale_by_yogi,
    trace,
)
from optim.transformations.scaling import (
    add_decayed_weights,
    add_noise,
    centralize,
    scale,
    scale_by_learning_rate,
    scale_by_trust_ratio,
    scale_features,
    sign,
)

__all__ = [
    "Link",
    "adaptive_grad_clip",
    "add_decayed_weights",
    "add_noise",
    "centralize",
    "clip",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "ema",
    "link",
    "masked",
    "scale",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_amsgrad",
    "scale_by_belief",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_stddev",
    "scale_by_trust_ratio",
    "scale_by_yogi",
    "scale_features",
    "sign",
    "trace",
    "zero_nans",
]
