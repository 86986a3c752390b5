"""Hooks for what the tape saves: they see each array once, give it back when it is used, and change nothing else."""

from __future__ import annotations

import contextlib
import gc
import threading
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

import autograd_core as ag

X = np.linspace(0.2, 1.4, 6).reshape(2, 3)


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def program(x, w):
    h = np.tanh(x @ w)
    parts = np.concatenate([h * h, np.exp(h), np.where(h > 0.5, np.sqrt(np.abs(h) + 1.0), h)])
    q, r = np.linalg.qr(parts.T @ parts + np.eye(2))
    picked = parts[[0, 1, 1]] * np.einsum("ij,jk->ik", parts[:3], q)
    return (np.sort(picked, axis=0) * np.cumsum(picked, axis=1)).sum() + np.max(r) + picked.std()


W = np.array([[0.3, -0.2], [0.5, 0.9], [-0.4, 0.1]])


def gradients(function, *values, hooks=None, **how):
    tensors = [leaf(v) for v in values]
    if hooks is None:
        y = function(*tensors)
    else:
        with hooks:
            y = function(*tensors)
    return [g.data for g in ag.gradient(y, tensors, **how)]


class Counting:
    """Hooks that keep copies elsewhere and count."""

    def __init__(self):
        self.packed = []
        self.unpacked = 0

    def pack(self, array):
        self.packed.append(weakref.ref(array))
        return ["kept", array.copy()]

    def unpack(self, kept):
        self.unpacked += 1
        return kept[1].copy()


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_the_same_to_the_bit(create_graph):
    counting = Counting()
    found = gradients(program, X, W, hooks=ag.saved_tensors_hooks(counting.pack, counting.unpack), create_graph=create_graph)
    for a, b in zip(found, gradients(program, X, W, create_graph=create_graph), strict=True):
        assert np.array_equal(a, b)
    assert len(counting.packed) > 10
    assert counting.unpacked >= len(counting.packed)


def test_the_tape_holds_no_array_that_was_packed():
    counting = Counting()
    x = leaf(X)
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        y = np.sin(np.exp(x * 2.0) * np.tanh(x)).sum()
    del x
    gc.collect()
    assert len(counting.packed) == 3
    assert all(reference() is None for reference in counting.packed)
    y.backward()


def test_each_array_is_packed_once_and_unpacked_once_for_each_operation_that_uses_it():
    counting = Counting()
    x = leaf(X)
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        e = np.exp(x)  # saved as the result, ...
        y = (np.sin(e) + e * e).sum()  # ... and as an argument of two more
    assert len(counting.packed) == 1
    y.backward(retain_graph=True)
    assert counting.unpacked == 4  # multiply saves both of its arguments
    y.backward()
    assert counting.unpacked == 8


def test_numbers_shapes_and_axes_are_not_packed():
    counting = Counting()
    x = leaf(X)
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        y = (x * 2.0).sum(axis=0, keepdims=True).reshape(3)[1:] * leaf(2.0)
    assert [reference().shape for reference in counting.packed if reference() is not None] in ([], [(2,)])
    y.sum().backward()
    assert x.grad.data.tolist() == [[0, 4, 4]] * 2


def test_a_tensor_written_between_two_uses_is_packed_again():
    counting = Counting()
    x = leaf(np.array([1.0, 2.0]))
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        t = x * 1.0
        first = np.sin(t).sum()
        t[0] = 5.0
        second = np.sin(t).sum()
    (first + second).backward()
    assert np.allclose(x.grad.data, [np.cos(1.0), 2 * np.cos(2.0)])
    w = leaf(np.array([1.0, 1.0]))
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        t = x * 1.0
        first = (t * w).sum()
        with ag.no_grad():
            t[0] = 7.0
        second = (t * w).sum()
    (first + second).backward()
    assert w.grad.data.tolist() == [8.0, 4.0]


def test_arrays_of_leaves_may_be_left_alone():
    counting = Counting()
    w, x = leaf(W), leaf(X)
    with ag.saved_tensors_hooks(counting.pack, counting.unpack, leaves=False):
        y = np.einsum("ij,jk->ik", x @ w, W.T @ w).sum()
    assert len(counting.packed) == 3  # both arguments of einsum, and the plain array
    y.backward()


def test_the_innermost_hooks_are_called():
    inner, outer = Counting(), Counting()
    with ag.saved_tensors_hooks(outer.pack, outer.unpack):
        a = np.exp(leaf(X))
        with ag.saved_tensors_hooks(inner.pack, inner.unpack):
            b = np.exp(leaf(X))
        c = np.exp(leaf(X))
    assert (len(outer.packed), len(inner.packed)) == (2, 1)
    (a + b + c).sum().backward()
    assert (outer.unpacked, inner.unpacked) == (2, 1)


def test_hooks_are_a_decorator_too_and_nothing_is_packed_without_recording():
    counting = Counting()

    @ag.saved_tensors_hooks(counting.pack, counting.unpack)
    def model(x):
        with ag.no_grad():
            np.exp(x)
        return np.exp(x)

    model(leaf(X)).sum().backward()
    with ag.no_grad():
        model(leaf(X))
    assert len(counting.packed) == 1
    np.exp(leaf(X))
    assert len(counting.packed) == 1


def test_hooks_are_those_of_their_own_thread():
    counting = Counting()
    results = []

    def other():
        results.append(type(np.exp(leaf(X)).node).__name__)

    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert results == ["Node"]
    assert not counting.packed


# --- with other modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outside", [True, False])
def test_anomaly_detection_and_profiles_see_the_same_program(outside):
    counting = Counting()
    hooks = lambda: ag.saved_tensors_hooks(counting.pack, counting.unpack)
    x = leaf(X)
    with ag.detect_anomaly() if outside else hooks(), hooks() if outside else ag.detect_anomaly(), ag.profile() as measured:
        program(x, W).backward()
    assert np.array_equal(x.grad.data, gradients(lambda x: program(x, W), X)[0])
    assert counting.unpacked
    assert {"matmul", "tanh", "exp"} <= {total.name for total in measured.totals()}
    z = leaf([4.0, 0.0])
    with ag.detect_anomaly() if outside else hooks(), hooks() if outside else ag.detect_anomaly():
        with pytest.raises(ag.AnomalyError, match=r"sqrt: the backward pass made the first nan"):
            (np.array([1.0, 0.0]) * np.sqrt(z)).sum().backward()


def test_a_checkpoint_keeps_its_inputs_packed():
    counting = Counting()
    x = leaf(X)
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        y = ag.checkpoint(lambda t: np.sin(t) ** 2)(x * 1.0).sum()
    y.backward()
    assert np.allclose(x.grad.data, np.sin(2 * X))


def test_the_users_array_may_change_when_pack_made_a_copy_and_not_when_it_did_not():
    a, x = np.ones(3000), leaf(np.ones(3000))  # large enough not to be copied by itself
    with ag.saved_tensors_hooks(np.copy, lambda kept: kept):
        y = (x * a).sum()
    a[:] = 100.0
    y.backward()
    assert x.grad.data.tolist() == [1.0] * 3000
    a[:] = 1.0
    with ag.saved_tensors_hooks(lambda array: (array,), lambda kept: kept[0]):
        y = (x * a).sum()
    a[:] = 100.0
    with pytest.raises(RuntimeError, match=r"multiply: what pack_hook returned for its argument x2 .* was changed in place"):
        y.backward()
    t = x * 2.0
    x.grad = None
    with ag.saved_tensors_hooks(lambda array: array, lambda kept: kept):
        y = np.sin(t).sum()
    t.data[0] = 5.0  # of the tensor's own from now on: what was saved is not handed out
    y.backward()
    np.testing.assert_array_equal(x.grad.data, 2 * np.cos(2.0 * np.ones(3000)))


def test_what_is_changed_under_anomaly_detection_names_the_line():
    a, x = np.ones(10_000), leaf(np.ones(10_000))
    with ag.detect_anomaly(), ag.saved_tensors_hooks(lambda array: array, lambda kept: kept):
        y = (x * a).sum()
        a[5003] = 2.0
        with pytest.raises(RuntimeError, match=r"It was saved at .*test_saved_tensors.py:\d+: y = \(x \* a\)"):
            y.backward()


def test_a_listing_shows_the_program_without_unpacking():
    counting = Counting()
    x = leaf(X)
    with ag.saved_tensors_hooks(counting.pack, counting.unpack):
        y = (np.exp(x) * X).sum()
    text = str(ag.tape(y))
    assert "exp" in text
    assert counting.unpacked == 0
    assert "exp" in str(ag.draw(y))
    assert ag.memory(y).bytes == 2 * X.nbytes


# --- errors ---------------------------------------------------------------------------------------------------------------------


def fails(_):
    raise OSError("disk full")


def test_an_error_in_pack_names_the_operation_and_leaves_no_mode_on():
    with pytest.raises(RuntimeError, match=r"exp: pack_hook for its result \(array of shape \(2, 3\), float64\) raised OSError: disk full"):
        with ag.saved_tensors_hooks(fails, fails):
            np.exp(leaf(X))
    assert type(np.exp(leaf(X)).node).__name__ == "Node"


def test_an_error_in_unpack_names_the_operation_and_touches_no_gradient():
    x = leaf(X)
    with ag.saved_tensors_hooks(np.copy, fails):
        y = np.sin(x).sum() + (x * x).sum()
    with pytest.raises(RuntimeError, match=r"sin|multiply: unpack_hook for its argument .* raised OSError: disk full"):
        y.backward()
    assert x.grad is None
    assert x.node.gradient is None


@pytest.mark.parametrize(
    ("unpack", "found"),
    [(lambda a: a[:1], "float64 of shape \\(1, 3\\)"), (lambda a: a.astype(np.float32), "float32 of shape"), (lambda a: None, "NoneType")],
)
def test_what_unpack_returns_must_be_like_the_saved_array(unpack, found):
    with ag.saved_tensors_hooks(np.copy, unpack):
        y = np.exp(leaf(X)).sum()
    with pytest.raises(RuntimeError, match=f"exp: unpack_hook returned {found}"):
        y.backward()


def test_hooks_have_to_be_functions():
    with pytest.raises(TypeError, match="two functions"):
        ag.saved_tensors_hooks(np.copy, None)
    with pytest.raises(TypeError, match="floating-point"):
        ag.save_as(np.int8)


# --- on disk --------------------------------------------------------------------------------------------------------------------


def test_what_is_on_disk_gives_the_same_gradient_and_is_deleted_after_the_backward_pass(tmp_path):
    x, w = leaf(X), leaf(W)
    with ag.save_on_disk(tmp_path, least=0):
        y = program(x, w)
    files = list(tmp_path.iterdir())
    assert len(files) > 10
    y.backward()
    assert not list(tmp_path.iterdir())
    for a, b in zip([x.grad.data, w.grad.data], gradients(program, X, W), strict=True):
        assert np.array_equal(a, b)


def test_files_are_deleted_with_the_tensors_and_so_is_the_temporary_folder():
    with ag.save_on_disk(least=0):
        y = np.exp(leaf(X)).sum()
        z = np.tanh(leaf(X)).sum()
    folder = Path(y.node.first.saved[0].packed.path).parent
    assert len(list(folder.iterdir())) == 2
    z.backward(retain_graph=True)
    assert len(list(folder.iterdir())) == 2
    z.backward()
    assert len(list(folder.iterdir())) == 1
    del y, z
    gc.collect()
    assert not folder.exists()


def test_a_deep_program_on_disk_takes_little_memory(tmp_path):
    x = leaf(np.linspace(0.0, 1.0, 50_000))

    def train(hooks):
        x.grad = None
        tracemalloc.start()
        with hooks:
            y = x
            for _ in range(40):
                y = np.tanh(y)
            y = y.sum()
        y.backward()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / x.data.nbytes, x.grad.data

    on_disk, found = train(ag.save_on_disk(tmp_path))
    in_memory, expected = train(contextlib.nullcontext())
    assert np.array_equal(found, expected)
    assert on_disk < 8
    assert in_memory > 40


def test_small_arrays_and_parameters_stay_in_memory(tmp_path):
    w = leaf(np.ones((100, 100)))
    with ag.save_on_disk(tmp_path, least=10_000):
        y = (np.ones((100, 100)) @ w).sum() + np.exp(leaf(X)).sum() + (w * w).sum()
    assert len(list(tmp_path.iterdir())) == 1  # the plain array: w is a leaf, the rest is small
    y.backward()


def test_disk_keeps_layout_and_dtype(tmp_path):
    x = leaf(np.asfortranarray(X.astype(np.float32)))
    with ag.save_on_disk(tmp_path, least=0):
        y = np.exp(x.T).sum() + np.abs(x * (1 + 2j)).sum()
    y.backward()
    expected = gradients(lambda x: np.exp(x.T).sum() + np.abs(x * (1 + 2j)).sum(), np.asfortranarray(X.astype(np.float32)))[0]
    assert x.grad.data.dtype == np.float32
    assert np.array_equal(x.grad.data, expected)


# --- in a smaller dtype -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "error"), [(np.float16, 3e-3), (np.float32, 3e-7)])
def test_a_smaller_dtype_halves_or_quarters_the_memory_and_the_gradient_is_as_good_as_it(dtype, error):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(30, 40)), rng.normal(size=(40, 20)) / 6

    def model(x, w):
        return (np.tanh(x @ w) * np.exp(-((x @ w) ** 2))).sum()

    tensors = [leaf(x), leaf(w)]
    with ag.save_as(dtype):
        y = model(*tensors)
    plain = model(*tensors)
    assert y.item() == pytest.approx(plain.item(), rel=1e-13)
    ratio = ag.memory(y).bytes / ag.memory(plain).bytes
    assert ratio == np.dtype(dtype).itemsize / 8
    found = ag.gradient(y, tensors)
    for a, b in zip(found, gradients(model, x, w), strict=True):
        assert a.dtype == np.float64
        assert np.max(np.abs(a.data - b)) <= error * np.max(np.abs(b))


def test_what_would_overflow_and_what_is_no_float_stays_as_it_is():
    x = leaf(np.array([1e6, 2.0, 3.0]))
    with ag.save_as(np.float16):
        y = (x * x).sum() + x[[0, 2]].sum() + np.where(x > 2.5, x * x * 1e-9, 0.0).sum()
    y.backward()
    assert np.allclose(x.grad.data, [2e6 + 1 + 2e-3, 4.0, 7.0])


def test_complex_arrays_are_kept_in_single_precision():
    z = leaf(np.array([1 + 2j, 0.5 - 1j]))
    with ag.save_as(np.float16):
        y = np.abs(z * z).sum()
    y.backward()
    assert np.allclose(z.grad.data, gradients(lambda z: np.abs(z * z).sum(), z.data)[0], rtol=1e-6)
