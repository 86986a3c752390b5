"""Random programs on dual arrays and on batches: forward mode and maps against backward passes and loops.

PROGRAMS=20000 pytest -s tests/test_random_programs_in_layers.py makes a long run, and prints what was tried.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import Any

import hypothesis
import numpy as np
import pytest
from random_programs import Program, programs

import autograd_core as ag
from autograd_core.arrays.batching import BatchingError
from autograd_core.transforms.evaluation import DualCall

COUNT = int(os.environ.get("PROGRAMS", "150"))
tried: Counter[str] = Counter()


def close(found: Any, expected: Any, scale: float) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.allclose(found, expected, rtol=1e-8, atol=1e-10 * (1.0 + scale), equal_nan=True))


def largest(values: Any) -> float:
    return max((float(np.abs(v[np.isfinite(v)]).max(initial=0.0)) for v in map(np.asarray, values)), default=0.0)


def directions_for(program: Program) -> tuple[Any, ...]:
    random = np.random.default_rng(1)
    return tuple(random.normal(size=a.shape) + (1j * random.normal(size=a.shape) if a.dtype.kind == "c" else 0.0) for a in program.inputs)


def check_forward(program: Program) -> None:
    point, along = tuple(program.inputs), directions_for(program)

    def loss(point: Any) -> Any:
        return program(*point)

    value, gradients = ag.value_and_grad(loss)(point)
    found_value, found = ag.jvp(loss, (point,), (along,))
    expected = sum(float(np.sum(np.real(np.conjugate(g) * v))) for g, v in zip(gradients, along, strict=True))
    assert close(found_value, value, abs(float(value)))
    if np.isfinite(expected):
        assert close(found, expected, largest(gradients)), f"jvp {found}, backward {expected}"
        tried["jvp"] += 1
    products = ag.hvp(loss)(point, along)
    keep = DualCall.applies
    try:
        DualCall.applies = staticmethod(lambda args, tangents: False)  # type: ignore[method-assign]
        twice_back = ag.hvp(loss)(point, along)
    finally:
        DualCall.applies = keep  # type: ignore[method-assign]
    if np.isfinite(largest(twice_back)) and all(np.isfinite(p).all() for p in map(np.asarray, twice_back)):
        for p, e in zip(products, twice_back, strict=True):
            assert close(p, e, largest(twice_back)), f"hvp {p}, two backward passes {e}"
        tried["hvp"] += 1


def check_map(program: Program) -> None:
    random = np.random.default_rng(2)
    batch = tuple(np.stack([a, np.asarray(a * (1 + 1e-3 * random.uniform(-1, 1, a.shape)), dtype=a.dtype)]) for a in program.inputs)

    def both(*point: Any) -> Any:
        return ag.value_and_grad(lambda point: program(*point))(point)

    try:
        values, gradients = ag.vmap(both)(*batch)
    except BatchingError:
        tried["not mapped"] += 1
        return
    for i in range(2):
        value, expected = both(*(b[i, ...] for b in batch))
        assert close(values[i], value, abs(float(value)))
        for g, e in zip(gradients, expected, strict=True):
            assert close(g[i], e, largest(expected)), f"mapped gradient {g[i]}, expected {e}"
    tried["map"] += 1
    check_composed(program, batch)


def check_composed(program: Program, batch: tuple[Any, ...]) -> None:
    """Second derivatives inside of a map, and derivatives of a map in forward mode and of second order."""
    along = directions_for(program)
    directions = tuple(np.stack([v, 2 * v]) for v in along)

    def loss(point: Any) -> Any:
        return program(*point)

    def product(point: Any) -> Any:
        return ag.hvp(loss)(point, along)

    elements = [tuple(b[i, ...] for b in batch) for i in range(2)]
    expected = [product(element) for element in elements]
    if all(np.isfinite(np.asarray(e)).all() for es in expected for e in es):
        try:
            found = ag.vmap(product)(batch)
        except BatchingError:
            tried["second order not mapped"] += 1
        else:
            for i, es in enumerate(expected):
                for f, e in zip(found, es, strict=True):
                    assert close(f[i], e, largest(es)), f"mapped hvp {f[i]}, expected {e}"
            tried["hvp in a map"] += 1
        whole = ag.hvp(lambda batch: ag.vmap(loss)(batch).sum())(batch, directions)
        for i, es in enumerate(expected):
            for f, e in zip(whole, es, strict=True):
                assert close(f[i], (1 + i) * e, largest(es)), f"hvp of a map {f[i]}, expected {(1 + i) * e}"
        tried["hvp of a map"] += 1
    slopes = ag.jvp(ag.vmap(loss), (batch,), (directions,))[1]
    for i, element in enumerate(elements):
        e = (1 + i) * ag.jvp(loss, (element,), (along,))[1]
        if np.isfinite(e):
            assert close(slopes[i], e, abs(float(e))), f"jvp of a map {slopes[i]}, expected {e}"


@pytest.mark.filterwarnings("ignore")
def test_random_programs_have_the_same_derivatives_forward_backward_and_mapped() -> None:
    tried.clear()

    @hypothesis.settings(max_examples=COUNT, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(program=programs(hypothesis.strategies.integers(1, 10)))
    def run(program: Program) -> None:
        if not isinstance(program(*(ag.tensor(a, requires_grad=True) for a in program.inputs)), ag.Tensor):
            return
        tried["programs"] += 1
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check_forward(program)
            check_map(program)

    run()
    print(dict(tried))
    for what, share in {"jvp": 0.9, "hvp": 0.9, "map": 0.8, "hvp in a map": 0.7, "hvp of a map": 0.7}.items():
        assert tried[what] > share * tried["programs"], f"{what}: only {tried[what]} of {tried['programs']} programs say anything"
