"""Arrays of other libraries and kinds: taken as NumPy's where that is what they mean, refused by name where it is not."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag

VALUES = np.array([0.5, 1.5, 2.5])


class Units(np.ndarray):
    """As astropy's Quantity: a subclass with arithmetic of its own."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        raise AssertionError("its arithmetic was asked for")


class Bare:
    """As JAX's arrays: NumPy can convert it, and that is all."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def series():
    return pytest.importorskip("pandas").Series(VALUES, index=["b", "a", "c"])


def column():
    return pytest.importorskip("pandas").DataFrame({"x": VALUES, "y": 0.0}).x


def data_array():
    return pytest.importorskip("xarray").DataArray(VALUES, dims="t", coords={"t": [3, 1, 2]})


def polars_series():
    return pytest.importorskip("polars").Series(VALUES)


def memory_map(tmp_path_factory=None):
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        mapped = np.memmap(file.name, dtype=float, mode="w+", shape=(3,))
        mapped[:] = VALUES
        return mapped


TAKEN = {"Series": series, "column": column, "DataArray": data_array, "polars": polars_series, "memmap": memory_map, "bare": lambda: Bare(VALUES)}
REFUSED = {
    "masked": (lambda: np.ma.masked_array(VALUES, [0, 1, 0]), "masked array"),
    "matrix": (lambda: VALUES[None].view(np.matrix), "np.matrix"),
    "objects": (lambda: VALUES.astype(object), "Python objects"),
    "units": (lambda: VALUES.view(Units), "arithmetic of its own"),
    "sparse": (lambda: pytest.importorskip("scipy.sparse").csr_array(VALUES), "sparse"),
}
USES = {
    "x * a": lambda x, a: x * a,
    "x @ a": lambda x, a: x @ a,
    "np.maximum(x, a)": np.maximum,
    "np.arctan2(x, a)": np.arctan2,
    "np.where(x > a, x, a)": lambda x, a: np.where(x > a, x, a),
    "np.dot(x, a)": np.dot,
    "np.interp(x, a, a)": lambda x, a: np.interp(x, a, a),
    "np.concatenate([x, a])": lambda x, a: np.concatenate([x, a]),
    "x[a > 1]": lambda x, a: x[(np.asarray(a) if isinstance(a, Bare) else a) > 1],
    "item assignment": lambda x, a: _assigned(x, a),
    "scalar + scalar * a": lambda x, a: x[0] + x[1] * a,
}


def _assigned(x, a):
    t = x * 1.0
    t[:] = a
    return t * x


@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize("use", USES)
def test_what_is_numpys_at_heart_is_taken_as_its_array(kind, use):
    x, same = (ag.tensor([1.0, 2.0, 3.0], requires_grad=True) for _ in range(2))
    y, expected = USES[use](x, TAKEN[kind]()), USES[use](same, VALUES)
    np.testing.assert_array_equal(y.data, expected.data)
    y.sum().backward()
    expected.sum().backward()
    assert type(x.grad.data) is np.ndarray
    np.testing.assert_array_equal(x.grad.data, same.grad.data)


@pytest.mark.parametrize("kind", ["Series", "column"])
@pytest.mark.parametrize("use", [lambda x, a: a * x, lambda x, a: a - x, lambda x, a: np.multiply(a, x), lambda x, a: a / x])
def test_a_series_on_the_left_gives_a_tensor(kind, use):
    x, same = (ag.tensor([1.0, 2.0, 3.0], requires_grad=True) for _ in range(2))
    y = use(x, TAKEN[kind]())
    assert isinstance(y, ag.Tensor)
    y.sum().backward()
    use(same, VALUES).sum().backward()
    np.testing.assert_array_equal(x.grad.data, same.grad.data)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("use", ["x * a", "np.maximum(x, a)", "np.arctan2(x, a)", "item assignment"])
def test_what_means_something_else_is_refused_by_name(kind, use):
    make, named = REFUSED[kind]
    x = ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
    in_numpys_words = kind == "sparse" and use == "item assignment"
    with pytest.raises(ValueError if in_numpys_words else TypeError, match="sequence" if in_numpys_words else named):
        USES[use](x, make())


@pytest.mark.parametrize("kind", [k for k in TAKEN if k != "bare"])
def test_transforms_take_them_and_give_plain_arrays(kind):
    array = TAKEN[kind]()
    g = ag.grad(lambda x: (x * x).sum())(array)
    assert type(g) is np.ndarray
    np.testing.assert_array_equal(g, 2 * VALUES)
    t = ag.tensor(array, requires_grad=True)
    assert type(t.data) is np.ndarray


@pytest.mark.parametrize("kind", ["masked", "matrix", "units"])
def test_a_tensor_is_not_made_of_what_means_something_else(kind):
    make, named = REFUSED[kind]
    with pytest.raises(TypeError, match=named):
        ag.tensor(make())


def test_gradients_given_to_a_pass_may_be_a_series():
    x = ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * x).backward(series())
    np.testing.assert_array_equal(x.grad.data, 2 * VALUES * [1.0, 2.0, 3.0])
