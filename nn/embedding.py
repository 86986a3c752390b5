"""`Embedding` and `EmbeddingBag`: a learned vector for each of many things, looked up by number."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from nn import functional, init
from nn.casting import dtype_of_new
from nn.functional.embeddings import normalised_padding
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both share: a table whose rows are the vectors."""

    def _set_table(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Any,
        freeze: bool,
        device: Any,
        dtype: Any,
        generator: init.Seed,
    ) -> None:
        layer = type(self).__name__
        for name, size in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 0:
                raise ValueError(f"{layer}: {name} must be an integer >= 0, not {size!r}")
        self.num_embeddings = int(num_embeddings)
        self.embedding_dim = int(embedding_dim)
        self.padding_idx = normalised_padding(padding_idx, num_embeddings, layer)
        self.max_norm = None if max_norm is None else float(max_norm)
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape, dtype = (num_embeddings, embedding_dim), dtype_of_new(layer, device, dtype)
        if weight is None:
            self.weight = Parameter(np.zeros(shape, dtype), requires_grad=not freeze)
            self.reset_parameters(generator)
            return
        if weight.shape != shape:
            raise ValueError(f"{layer}: a table of shape {weight.shape}, expected (num_embeddings, embedding_dim) = {shape}")
        self.weight = weight if isinstance(weight, Parameter) else Parameter(weight)
        self.weight.requires_grad = not freeze

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the table anew; the padding is 0."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def _shown(self, *names: str) -> str:
        """The sizes, and what is not the default of the attributes of these names, in torch's order."""
        defaults = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "sparse": False}
        changed = [name for name in names if name not in defaults or getattr(self, name) != defaults[name]]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *(f"{name}={getattr(self, name)!r}" for name in changed)])


def _two_axes(embeddings: Any, layer: str) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise ValueError(f"{layer}.from_pretrained: embeddings of shape {embeddings.shape}, expected (number of rows, width)")
    rows, columns = embeddings.shape
    return rows, columns


class Embedding(_Table):
    """The rows of a table, by their numbers: weight[input].

    num_embeddings, embedding_dim  shape of the table
    padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse  as in `functional.embedding`
    device, dtype  of the table: the CPU; float32 if none is given
    generator  where the initial values come from: a generator, a seed, or None for `nn.init`'s own
    weight     (num_embeddings, embedding_dim), drawn from the standard normal distribution; 0 for the padding

    >>> import numpy as np, nn
    >>> nn.Embedding(10, 3)(np.array([[1, 2], [2, 0]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        self._set_table(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze, device, dtype, generator
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer with the given table, (number of rows, width); frozen unless `freeze=False`."""
        table = _two_axes(embeddings, cls.__name__)
        return cls(*table, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Any) -> Any:
        return functional.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)

    def extra_repr(self) -> str:
        return self._shown("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a table.

    mode, include_last_offset, padding_idx, ...  as in `functional.embedding_bag`; everything else as in `Embedding`

    >>> import numpy as np, nn
    >>> nn.EmbeddingBag(10, 3)(np.array([1, 2, 4, 5, 4]), np.array([0, 2])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f'EmbeddingBag: mode must be "sum", "mean" or "max", not {mode!r}')
        self.mode = mode
        self.include_last_offset = include_last_offset
        self._set_table(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, False, device, dtype, generator
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer with the given table, (number of rows, width); frozen unless `freeze=False`."""
        table = _two_axes(embeddings, cls.__name__)
        layer = cls(*table, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx)
        layer.weight.requires_grad = not freeze
        return layer

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        return functional.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        return self._shown("max_norm", "norm_type", "scale_grad_by_freq", "mode", "padding_idx")
