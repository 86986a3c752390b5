"""Random programs for the differential test: any operations of the table, one after the other, on arrays of any shape.

A program keeps a pool of values, at first its inputs. Each step takes some of them and adds a result. There are two kinds:

* A sample of the table (any operation with any of its keywords). Where the sample has an array, the program passes that array
  plus a little of a value of the pool, repeated or cut to the sample's shape, so that the argument stays in the domain.
* A free step on whatever shapes the pool has: arithmetic with broadcasting, indexing, assignment, reductions, joins.

The loss is a weighted sum over all the values.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.define.samples import calls_of
from autograd_core.gradcheck.subjects.subjects import Traced, leaf
from autograd_core.tape.loading import load_more
from autograd_core.tape.table import COMPOSITIONS, TABLE
from autograd_core.tensor.protocols import full_name
from tools.coverage.states import differentiable_subject

LARGEST = 10.0  # larger results are scaled down: derivatives of products of large numbers cannot be had numerically

# Their vectors are determined up to a sign or a phase, which LAPACK chooses anew at each point; the values are tried.
GAUGED = {np.linalg.eig, np.linalg.eigh, np.linalg.svd}


class Step(NamedTuple):
    """One step: the operation of the table ("" for a free step), which values of the pool it takes, and the function of them."""

    name: str
    text: str
    takes: tuple[int, ...]
    compute: Callable[..., Any]


class Program(NamedTuple):
    """Inputs, steps, and the weights of the values in the loss."""

    inputs: list[Any]
    steps: list[Step]
    weights: list[Any]

    def __repr__(self) -> str:
        lines = [f"v{i} = input, {a.dtype} {a.shape}" for i, a in enumerate(self.inputs)]
        lines += [f"v{i} = {step.text.format(*(f'v{k}' for k in step.takes))}" for i, step in enumerate(self.steps, len(self.inputs))]
        return "\n".join(lines)

    def __call__(self, *inputs: Any) -> Any:
        """The loss, of arrays or tensors."""
        pool = list(inputs)
        for step in self.steps:
            value = step.compute(*(pool[k] for k in step.takes))
            pool.append(value if isinstance(value, ag.Tensor) else np.asarray(value))  # also NumPy may return a Python number
        return functools.reduce(lambda total, term: total + term, (np.sum(np.real(v * w)) for v, w in zip(pool, self.weights, strict=True)), 0.0)


class Chooser:
    """Chooses by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, options: Any) -> Any:
        return options[int(self.random.integers(len(options)))]


# --- steps from the table ------------------------------------------------------------------------------------------------------------


@functools.cache
def subjects() -> dict[str, list[tuple[int, Traced]]]:
    """By the name of an operation, its samples that have arguments to differentiate."""
    load_more()
    rows = {f: row for f, row in [*COMPOSITIONS.items(), *TABLE.items()] if f not in TABLE or TABLE[f].rules}
    found: dict[str, list[tuple[int, Traced]]] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for function, row in rows.items():
            key = function[0] if isinstance(function, tuple) else function
            if isinstance(key, np.ufunc) or (getattr(key, "__module__", None) or "").split(".")[0] in ("numpy", "autograd_core"):
                samples = [(i, differentiable_subject(function, call)) for i, call in enumerate(calls_of(row))]
                found[full_name(function)] = [(i, s) for i, s in samples if s is not None]
    return {name: found[name] for name in sorted(found) if found[name]}


def near(sample: Any, value: Any, factor: float, symmetric: bool) -> Any:
    """`sample` plus a little of `value`."""
    if sample.dtype.kind != "c":
        value = np.real(value)
    little = np.resize(value, sample.shape) * factor
    return sample + (little + np.conjugate(np.swapaxes(little, -1, -2)) if symmetric else little)


def sample_step(name: str, index: int, takes: tuple[int, ...], factors: list[float], pick: int) -> Step:
    """A sample of the table near the values that it takes; of several results, the one numbered `pick`, round and round."""
    number, subject = subjects()[name][index]
    symmetric = [bool(subject.symmetric) and i in subject.symmetric for i in range(len(takes))]
    arrays = subject.arrays
    gauged = any(name == full_name(f) for f in GAUGED)

    def compute(*values: Any) -> Any:
        near_by = [near(a, v, f, s) for a, v, f, s in zip(arrays, values, factors, symmetric, strict=True)]
        tracked = any(isinstance(v, ag.Tensor) for v in near_by)
        results = subject.call([v if isinstance(v, ag.Tensor) else ag.tensor(v) for v in near_by]) if tracked else subject.value(near_by)
        if gauged:
            results = [r for r in results if r.ndim == min(q.ndim for q in results)]
        return results[pick % len(results)] if results else np.zeros(())

    return Step(name, f"{name} (sample {number}, result {pick}) near {', '.join(['{}'] * len(takes))}", takes, compute)


def table_step(choose: Chooser, pool: list[Any]) -> Step:
    name = choose(list(subjects()))
    index = choose(range(len(subjects()[name])))
    takes = tuple(choose(range(len(pool))) for _ in subjects()[name][index][1].places)
    factors = [0.05 / max(1.0, float(np.abs(pool[k]).max(initial=0.0))) for k in takes]
    return sample_step(name, index, takes, factors, choose(range(4)))


# --- free steps ------------------------------------------------------------------------------------------------------------------------

UNARY: dict[str, Callable[[Any], Any]] = {
    "sin({})": np.sin,
    "tanh({}.real)": lambda x: np.tanh(np.real(x)),
    "log(1 + |{}|^2)": lambda x: np.log(1.0 + np.real(x * np.conjugate(x))),
    "{} * {}": lambda x: x * x,
    "1j * {} + 1": lambda x: 1j * x + 1.0,
    "-{}": lambda x: -x,
    "{} ** 3": lambda x: x**3,
    "exp(sin({}.real))": lambda x: np.exp(np.sin(np.real(x))),
    "sqrt(1 + |{}|^2)": lambda x: np.sqrt(1.0 + np.abs(x) ** 2),
    "{}.T": lambda x: x.T,
    "ravel({})": np.ravel,
    "{}[None]": lambda x: x[None],
    "{}[..., ::-1]": lambda x: x[..., ::-1] if x.ndim else x,
    "{}[[0, 0, -1]]": lambda x: x[[0, 0, -1]] if x.ndim and x.shape[0] else x,
    "{}[:1]": lambda x: x[:1] if x.ndim else x,
    "{}[{}.real > 0]": lambda x: x[np.real(x) > 0],
    "where({} > 0, {}, {}^2)": lambda x: np.where(np.real(x) > 0, x, x * x),
    "sum({}, axis=-1)": lambda x: np.sum(x, axis=-1) if x.ndim else x,
    "mean({}, axis=0, keepdims)": lambda x: np.mean(x, axis=0, keepdims=True) if x.ndim and x.shape[0] else x,
    "cumsum({})": np.cumsum,
    "max({}.real)": lambda x: np.max(np.real(x)) if x.size else np.sum(x),
    "prod({})": np.prod,
    "fft({})": lambda x: np.fft.fft(x) if x.ndim and x.shape[-1] else x,
    "sort({}.real)": lambda x: np.sort(np.real(x)) if x.ndim else x,
    "{} @ {}.T": lambda x: x @ np.swapaxes(x, -1, -2) if x.ndim >= 2 else x,
}


def assigned(x: Any, y: Any) -> Any:
    t = x * (1.0 + 0.0j) if np.iscomplexobj(y) else x * 1.0
    if not isinstance(t, ag.Tensor) and isinstance(y, ag.Tensor):
        t = ag.tensor(t)
    if t.ndim and t.shape[0]:
        t[0] = np.resize(y, t.shape[1:])
        t[-1:] += 0.5 * t[:1]
    return t


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "{} + {}": lambda x, y: x + y,
    "{} - {}": lambda x, y: x - y,
    "{} * {}": lambda x, y: x * y,
    "{} / (2 + |{}|^2)": lambda x, y: x / (2.0 + np.real(y * np.conjugate(y))),
    "maximum({}, {})": lambda x, y: np.maximum(np.real(x), np.real(y)),
    "hypot({}, {})": lambda x, y: np.hypot(np.real(x), np.real(y)),
    "arctan2({}, 2 + {}^2)": lambda x, y: np.arctan2(np.real(x), 2.0 + np.real(y) ** 2),
    "outer({}, {})": lambda x, y: np.outer(x, y) if x.size * y.size <= 64 else x,
    "concatenate({}, {})": lambda x, y: np.concatenate([np.ravel(x), np.ravel(y)]),
    "{}[0] = {}": assigned,
    "einsum('i,j->j', {}, {})": lambda x, y: np.einsum("i,j->j", np.ravel(x), np.ravel(y)),
    "logaddexp({}, {})": lambda x, y: np.logaddexp(np.real(x), np.real(y)),
}


def free_step(choose: Chooser, pool: list[Any]) -> Step:
    first = choose(range(len(pool)))
    if choose([True, False]):
        text = choose(list(UNARY))
        return Step("", text.replace("{}", "{0}"), (first,), UNARY[text])
    text = choose(list(BINARY))
    compute, second = BINARY[text], choose(range(len(pool)))
    try:
        np.broadcast_shapes(pool[first].shape, pool[second].shape)
    except ValueError:
        shape = pool[first].shape
        return Step("", f"{text.format('{0}', 'resize({1})')}", (first, second), lambda x, y: compute(x, np.resize(y, shape)))
    return Step("", text, (first, second), compute)


# --- programs --------------------------------------------------------------------------------------------------------------------------


def scaled(step: Step, value: Any) -> Step:
    """The step, with a result that is not too large."""
    largest = float(np.abs(value).max(initial=0.0))
    if largest <= LARGEST:
        return step
    factor = 1.0 / largest
    return Step(step.name, f"{factor:.3g} * ({step.text})", step.takes, lambda *values: step.compute(*values) * factor)


SHAPES = [(), (1,), (3,), (2, 3), (3, 1), (1, 2), (2, 1, 3), (0, 2), (2, 2), (4,), (3, 3)]


def make_program(seed: int, length: int) -> Program:
    """The program of a seed: a shorter one is the beginning of a longer one, so that a failing program shrinks to its failing step."""
    choose = Chooser(seed)
    random = choose.random
    shapes = [choose(SHAPES) for _ in range(choose([1, 2, 3]))]
    inputs = [random.normal(size=shape) + (1j * random.normal(size=shape) if choose(range(6)) == 0 else 0.0) for shape in shapes]
    inputs = [np.asarray(a) for a in inputs]
    pool, steps = list(inputs), []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(length):
            step = table_step(choose, pool) if choose(range(3)) else free_step(choose, pool)
            value = np.asarray(step.compute(*(pool[k] for k in step.takes)))
            if value.size > 300 or not np.isfinite(value).all() or value.dtype.kind not in "fc":
                continue
            step = scaled(step, value)
            steps.append(step)
            pool.append(np.asarray(step.compute(*(pool[k] for k in step.takes))))
    random = np.random.default_rng(seed)
    return Program(inputs, steps, [random.normal(size=np.shape(v)) + 1j * random.normal(size=np.shape(v)) for v in pool])


programs = functools.partial(st.builds, make_program, st.integers(0, 2**63))


def leaves(arrays: list[Any]) -> list[Any]:
    return [leaf(a) for a in arrays]
