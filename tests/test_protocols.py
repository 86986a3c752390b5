"""NumPy's calls on tensors: dispatched, recorded, or refused aloud; nothing detaches silently."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import pytest

import autograd_core as ag

VALUES = np.array([0.5, 1.5, 2.5])


@pytest.fixture
def x():
    return ag.tensor(VALUES, requires_grad=True)


# --- nothing detaches silently ---------------------------------------------------------------------------------------------

HOLDER = np.zeros(3)


def assign_item(x):
    np.zeros(3)[0] = x[0]


def assign_slice(x):
    np.zeros(3)[:] = x


def assign_in_place(x):
    a = np.zeros(3)
    a += x


SILENT_ELSEWHERE = {
    "np.asarray(x)": lambda x: np.asarray(x),
    "np.array(x)": lambda x: np.array(x),
    "np.array([x, x])": lambda x: np.array([x, x]),
    "np.array([[x[0], 1.0]])": lambda x: np.array([[x[0], 1.0]]),
    "np.asanyarray(x)": lambda x: np.asanyarray(x),
    "np.ascontiguousarray(x)": lambda x: np.ascontiguousarray(x),
    "np.asarray_chkfinite(x)": lambda x: np.asarray_chkfinite(x),
    "np.float64(x)": lambda x: np.float64(x),
    "np.fromiter(x)": lambda x: np.fromiter((t for t in (x,)), dtype=object).astype(float),
    "np.matrix(x)": lambda x: np.matrix(x),
    "np.ma.array(x)": lambda x: np.ma.array(x),
    "a[0] = x[0]": assign_item,
    "a[:] = x": assign_slice,
    "a += x": assign_in_place,
    "a.dot(x)": lambda x: np.zeros(3).dot(x),
    "a.__setitem__": lambda x: np.zeros(3).__setitem__(slice(None), x),
    "a.put": lambda x: np.zeros(3).put([0, 1, 2], x),
    "random.normal(x)": lambda x: np.random.default_rng(0).normal(x),
    "random.uniform(x, y)": lambda x: np.random.default_rng(0).uniform(x, x + 1),
    "random.permutation(x)": lambda x: np.random.default_rng(0).permutation(x),
    "np.random.normal(x)": lambda x: np.random.normal(x),
    "np.sum(x, out=a)": lambda x: np.sum(x, out=np.zeros(())),
    "np.add(x, x, out=a)": lambda x: np.add(x, x, out=np.zeros(3)),
    "np.add(a, a, out=x)": lambda x: np.add(VALUES, VALUES, out=x),
    "np.mean(x, out=a)": lambda x: np.mean(x, out=np.zeros(())),
    "np.concatenate(out=a)": lambda x: np.concatenate([x, x], out=np.zeros(6)),
    "np.copyto(a, x)": lambda x: np.copyto(np.zeros(3), x),
    "np.put(a, x)": lambda x: np.put(np.zeros(3), [0, 1, 2], x),
    "np.place(a, x)": lambda x: np.place(np.zeros(3), np.ones(3, bool), x),
    "np.putmask(a, x)": lambda x: np.putmask(np.zeros(3), np.ones(3, bool), x),
    "np.put_along_axis(a, x)": lambda x: np.put_along_axis(np.zeros(3), np.array([0, 1, 2]), x, 0),
    "np.fill_diagonal(a, x)": lambda x: np.fill_diagonal(np.zeros((3, 3)), x),
    "np.add.at(a, x)": lambda x: np.add.at(np.zeros(3), [0, 1, 2], x),
    "np.vectorize(f)(x)": lambda x: np.vectorize(lambda v: v * 2.0)(x),
    "np.frompyfunc(f)(x)": lambda x: np.frompyfunc(lambda v: v * 2.0, 1, 1)(x),
    "np.polyfit": lambda x: np.polynomial.Polynomial.fit(x, x, 1),
    "np.full((3,), x[0])": lambda x: np.full(3, x[0]),
    "np.piecewise": lambda x: np.piecewise(x, [x > 1], [1.0, lambda v: v]),
    "np.histogram(x)": lambda x: np.histogram(x, weights=x),
    "np.ndarray.sum(x)": lambda x: np.ndarray.sum(x),
    "functools.reduce(out)": lambda x: functools.reduce(lambda a, t: np.add(a, t, out=a), x, np.zeros(())),
}


def still_tracked(result, x):
    """Whether every tensor or array in `result` is a tensor from which a gradient reaches `x`."""
    results = result if isinstance(result, tuple | list) else [result]
    return all(
        isinstance(r, ag.Tensor) and ag.gradient(r.sum(), x, allow_unused=True, retain_graph=True) is not None for r in results if r is not None
    )


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", SILENT_ELSEWHERE)
def test_what_numpy_does_not_dispatch_is_refused_or_recorded(name, x):
    try:
        result = SILENT_ELSEWHERE[name](x)
    except (TypeError, ValueError, RuntimeError):
        return
    assert result is not None, f"{name} changed an array and lost the gradient"
    assert still_tracked(result, x), f"{name} gave {type(result).__name__} without history"


@pytest.mark.parametrize("name", ["np.asarray(x)", "np.array([x, x])", "a[0] = x[0]", "a[:] = x", "a.dot(x)", "random.normal(x)"])
def test_the_error_of_a_conversion_says_what_to_write_instead(name, x):
    with pytest.raises((TypeError, ValueError)) as caught:
        SILENT_ELSEWHERE[name](x)
    error = caught.value
    while not isinstance(error, TypeError) or "gradient" not in str(error):
        error = error.__cause__ or error.__context__  # NumPy wraps the error of an item assignment
        assert error is not None, f"no error in the chain of {caught.value!r} names the gradient"
    for advice in ("t.detach()", "np.stack", "t[i] = v", f"shape {x.shape}" if "0]" not in name else "shape ()"):
        assert advice in str(error)


def test_conversions_to_python_numbers_are_the_documented_exceptions(x):
    holder = np.zeros(1)
    holder[0] = float(x[0])
    assert holder[0] == 0.5
    assert math.exp(x[0]) == math.exp(0.5)
    assert f"{x.sum():.1f}" == "4.5"


def test_without_recording_conversions_are_allowed(x):
    with ag.no_grad():
        assert np.asarray(x).tolist() == VALUES.tolist()
        holder = np.zeros(3)
        holder[:] = x
        assert holder.tolist() == VALUES.tolist()
    assert np.asarray(x.detach()).tolist() == VALUES.tolist()


def test_an_untracked_tensor_is_an_array_to_everybody():
    c = ag.tensor(VALUES)
    holder = np.zeros(3)
    holder[:] = c
    assert holder.tolist() == VALUES.tolist()
    assert np.random.default_rng(0).permutation(c).shape == (3,)


# --- a function without a rule ------------------------------------------------------------------------------------------------


def unheard_of(a):
    """A function that dispatches by NumPy's protocol, as those of other libraries do."""
    if isinstance(a, ag.Tensor):
        return a.__array_function__(unheard_of, (ag.Tensor,), (a,), {})
    return a * 2.0


def test_a_function_without_a_rule_names_itself_a_neighbour_and_the_door(x):
    unheard_of.__module__, unheard_of.__name__ = "numpy", "roundd"
    with pytest.raises(TypeError) as caught:
        unheard_of(x)
    message = str(caught.value)
    assert message.startswith("np.roundd has no derivative rule; the nearest with a rule is np.round;")
    assert "ag.defvjp" in message
    assert "Custom operations" in message
    with ag.no_grad():
        assert unheard_of(x).tolist() == [1.0, 3.0, 5.0]


def test_a_ufunc_of_somebody_else_without_a_rule_is_refused(x):
    gamma = np.frompyfunc(math.gamma, 1, 1)
    with pytest.raises(TypeError, match=r"gamma.*has no derivative rule"):
        gamma(x)
    assert gamma(x.detach()).tolist() == [math.gamma(v) for v in VALUES]


def test_a_function_without_a_rule_computes_on_untracked_tensors():
    result = unheard_of(ag.tensor([1.0, 2.0]))
    assert isinstance(result, ag.Tensor)
    assert result.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("method", ["reduce", "accumulate", "outer", "reduceat", "at"])
def test_a_ufunc_method_without_a_rule_is_refused_by_its_name(method, x):
    longest = np.frompyfunc(math.hypot, 2, 1)
    arguments = {"outer": (x, x), "reduceat": (x, [0, 1]), "at": (x, [0, 1], 1.0)}.get(method, (x,))
    with pytest.raises(TypeError, match=rf"hypot.*\.{method} has no derivative rule|in place|tensors are values"):
        getattr(longest, method)(*arguments)


def test_a_rule_that_is_registered_makes_the_function_work(x):
    def own(a):
        return np.asarray(a) * 3.0

    wrapped = ag.op(own, a=lambda g: g * 3.0)
    wrapped(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 3.0]


# --- keywords that no rule handles -----------------------------------------------------------------------------------------------

REFUSED = {
    "where= of a ufunc": (lambda x: np.add(x, 1.0, where=np.array([True, False, True])), "add", "where"),
    "dtype= of a ufunc": (lambda x: np.add(x, 1.0, dtype=np.float32), "add", "dtype"),
    "casting= of a ufunc": (lambda x: np.exp(x, casting="unsafe"), "exp", "casting"),
    "axes= of matmul": (lambda x: np.matmul(x.reshape(1, 3), x.reshape(3, 1), axes=[(0, 1), (0, 1), (0, 1)]), "matmul", "axes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_keyword_that_no_rule_handles_is_refused_by_name(name, x):
    call, op, keyword = REFUSED[name]
    with pytest.raises(TypeError, match=rf"{op}: .*{keyword}") as caught:
        call(x)
    assert "default" in str(caught.value)


def test_keywords_at_their_defaults_are_accepted(x):
    y = np.add(x, 1.0, out=None, where=True, casting="same_kind", order="K", dtype=None, subok=True)
    y = y + np.sum(x, axis=None, dtype=None, out=None, keepdims=False)
    y.sum().backward()
    assert x.grad.tolist() == [4.0] * 3


def test_a_keyword_that_numpy_does_not_know_is_pythons_type_error(x):
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'"):
        np.sum(x, axes=0)


OUT = {
    "ufunc": lambda x, a: np.exp(x, out=a),
    "ufunc, positional": lambda x, a: np.exp(x, a),
    "reduction": lambda x, a: np.cumsum(x, out=a),
    "in place": lambda x, a: operator.iadd(a, x),
    "in place product": lambda x, a: operator.imul(a, x),
    "method": lambda x, a: x.cumsum(out=a),
}


@pytest.mark.parametrize("name", OUT)
def test_out_is_refused_and_the_array_left_alone(name, x):
    a = np.zeros(3)
    with pytest.raises(TypeError, match=r"out=.*tensors.*are values"):
        OUT[name](x, a)
    assert a.tolist() == [0.0] * 3


# --- who answers a call --------------------------------------------------------------------------------------------------------------

MIXED = {
    "array * x": lambda x: VALUES * x,
    "float64 * x": lambda x: np.float64(2.0) * x,
    "0-d array * x": lambda x: np.array(2.0) * x,
    "float32 scalar * x": lambda x: np.float32(2.0) * x,
    "int64 * x": lambda x: np.int64(2) * x,
    "list * x": lambda x: [1.0, 2.0, 3.0] * x,
    "tuple - x": lambda x: (1.0, 2.0, 3.0) - x,
    "np.add(list, x)": lambda x: np.add([1.0, 2.0, 3.0], x),
    "np.multiply(x, list)": lambda x: np.multiply(x, [1.0, 2.0, 3.0]),
    "array ** x": lambda x: VALUES**x,
    "array @ x": lambda x: VALUES @ x,
    "x @ array": lambda x: x @ VALUES,
    "x @ list": lambda x: x @ [1.0, 2.0, 3.0],
    "np.where(mask, x, list)": lambda x: np.where([True, False, True], x, [1.0, 2.0, 3.0]),
    "np.maximum(x, list)": lambda x: np.maximum(x, [1.0, 2.0, 3.0]),
    "np.dot(x, list)": lambda x: np.dot(x, [1.0, 2.0, 3.0]),
    "np.stack([x, list])": lambda x: np.stack([x, [1.0, 2.0, 3.0]]),
    "sum([x, x])": lambda x: sum([x, x]),
    "np.linalg.norm(x)": lambda x: np.linalg.norm(x),
    "np.einsum('i,i', x, list)": lambda x: np.einsum("i,i->", x, VALUES),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_operands_are_recorded_and_equal_numpy(name, x):
    y = MIXED[name](x)
    assert isinstance(y, ag.Tensor)
    assert y.requires_grad
    np.testing.assert_array_equal(y.data, MIXED[name](VALUES))
    step = 1e-6
    y.sum().backward()
    numeric = [(np.sum(MIXED[name](VALUES + step * e)) - np.sum(MIXED[name](VALUES - step * e))) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(x.grad.data, numeric, rtol=1e-7, atol=1e-7)


def test_a_subclass_of_ndarray_on_the_left_defers_too(x):
    class Mine(np.ndarray):
        pass

    assert isinstance(VALUES.view(Mine) * x, ag.Tensor)


def test_a_class_that_refuses_ufuncs_gets_its_own_operator(x):
    class Other:
        __array_ufunc__ = None

        def __rmul__(self, other):
            return "mine"

    assert x * Other() == "mine"
    assert VALUES * Other() == "mine"


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_masked_arrays_and_matrices_do_not_detach(x):
    for other in (np.ma.array([1.0, 2.0, 3.0]), np.matrix([[1.0], [2.0], [3.0]])):
        for product in (lambda o=other: o * x, lambda o=other: x * o):
            try:
                result = product()
            except (TypeError, ValueError):
                continue
            assert isinstance(result, ag.Tensor)
            assert result.requires_grad


def test_tensors_are_accepted_in_containers_keywords_and_as_indices(x):
    i = ag.tensor([0, 2])
    assert x[i].tolist() == [0.5, 2.5]
    assert x[ag.tensor([True, False, True])].tolist() == [0.5, 2.5]
    assert x[ag.tensor(1)].item() == 1.5
    assert np.arange(5.0)[i].tolist() == [0.0, 2.0]
    assert np.concatenate((x, [1.0])).tolist() == [0.5, 1.5, 2.5, 1.0]
    assert np.sum(a=x).item() == 4.5
    assert np.where(ag.tensor([True, False, True]), x, 0.0).tolist() == [0.5, 0.0, 2.5]
    assert np.clip(x, a_min=ag.tensor(1.0), a_max=None).tolist() == [1.0, 1.5, 2.5]
    with pytest.raises((TypeError, IndexError)):
        np.arange(5.0)[x]


def test_functions_without_derivative_give_plain_results(x):
    assert np.argmax(x) == 2
    assert np.shape(x) == (3,)
    assert np.ndim(x) == 1
    assert np.size(x) == 3
    assert np.isfinite(x).all()
    assert not isinstance(np.argsort(x), ag.Tensor)
    assert np.allclose(x, VALUES)
    assert np.array_equal(x, VALUES)
    assert np.result_type(x, np.float32) == np.float64
    np.testing.assert_array_equal(np.signbit(x), [False] * 3)


@pytest.mark.parametrize("function", [np.zeros_like, np.ones_like, np.empty_like, lambda x: np.full_like(x, 2.0)])
def test_likes_of_a_tensor_are_constants_of_its_shape_and_dtype(function, x):
    y = function(x)
    assert y.shape == (3,)
    assert y.dtype == np.float64
    assert not getattr(y, "requires_grad", False)


def test_named_results_keep_their_names():
    a = ag.tensor(np.array([[2.0, 1.0], [1.0, 3.0]]), requires_grad=True)
    result = np.linalg.slogdet(a)
    result.logabsdet.backward()
    np.testing.assert_allclose(a.grad.data, np.linalg.inv(a.data).T)
    assert np.linalg.eigh(a).eigenvalues.requires_grad
