"""Each wrong use raises the standard exception, with a message that names what was wrong and says what to write instead."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag


def leaf(value=(1.0, 2.0)):
    return ag.tensor(value, requires_grad=True)


def says(message, *parts):
    missing = [part for part in parts if part not in message]
    assert not missing, f"{message!r} does not say {missing}"


# --- leaves -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, [1, 2], np.array([1, 2], np.uint8), True, np.array([True, False])])
@pytest.mark.parametrize(
    "make", [lambda v: ag.tensor(v, requires_grad=True), lambda v: ag.tensor(v).requires_grad_(), lambda v: ag.Tensor(v, None, True)]
)
def test_an_integer_or_boolean_leaf_cannot_require_grad(value, make):
    with pytest.raises(TypeError) as caught:
        make(value)
    says(str(caught.value), "requires_grad", "floating-point", str(np.asarray(value).dtype), "ag.tensor(..., dtype=float)")


@pytest.mark.parametrize("value", ["text", ["a", "b"], None, {}, object(), np.array([None, 1.0])])
def test_a_tensor_of_no_numbers_is_refused_with_its_dtype(value):
    with pytest.raises(TypeError) as caught:
        ag.tensor(value)
    says(str(caught.value), "a tensor holds numbers", "dtype=")


def test_a_tensor_of_tracked_tensors_would_lose_their_gradients():
    x = leaf()
    with pytest.raises(TypeError) as caught:
        ag.tensor([x[0], x[1]])
    says(str(caught.value), "gradient", "np.stack")
    with pytest.raises(TypeError) as caught:
        ag.tensor([[x[0]], [x[1]]])
    says(str(caught.value), "gradient", "np.stack")
    with pytest.raises(TypeError) as caught:
        ag.tensor(x * 2)
    says(str(caught.value), "gradient", "copy()", "detach()")


def test_an_in_place_change_of_a_leaf_is_refused():
    x = leaf()
    for index in (0, slice(None), [0, 1], np.array([True, False])):
        with pytest.raises(RuntimeError) as caught:
            x[index] = 5.0
        says(str(caught.value), "item assignment to a leaf", "shape (2,)", "t = t.copy()", "ag.no_grad()")
    assert x.tolist() == [1.0, 2.0]


def test_an_item_assignment_that_does_not_fit_changes_nothing():
    t = leaf() * 1.0
    for index, value, error in (
        (0, np.ones(3), ValueError),
        (5, 1.0, IndexError),
        ("a", 1.0, IndexError),
        (slice(None), np.ones((3, 2)), ValueError),
    ):
        with pytest.raises(error):
            t[index] = value
    assert t.tolist() == [1.0, 2.0]
    x = leaf()
    u = x * 1.0
    with pytest.raises(ValueError, match="broadcast"):
        u[:] = leaf([1.0, 2.0, 3.0])
    (u * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_tracked_value_into_an_integer_tensor_is_refused():
    counts = ag.tensor([1, 2])
    with pytest.raises(TypeError) as caught:
        counts[0] = leaf()[0]
    says(str(caught.value), "int64", "gradient", "astype(float)")


def test_an_attribute_that_does_not_exist_cannot_be_set_by_mistake():
    x = leaf()
    with pytest.raises(AttributeError):
        x.gard = None
    with pytest.raises(AttributeError):
        x.shape = (2, 1)


# --- backward ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2,), (2, 3), (0,), (2, 0)])
def test_backward_of_a_non_scalar_needs_a_gradient(shape):
    with pytest.raises(ValueError) as caught:
        (leaf(np.ones(shape)) * 2).backward()
    says(str(caught.value), "backward", f"shape {shape}", "y.backward(gradient)", "y.sum().backward()")


@pytest.mark.parametrize("g", [np.ones(3), np.ones((1, 2)), np.ones(()), 1.0, [1.0], ag.tensor([[1.0], [2.0]])])
def test_a_gradient_of_the_wrong_shape_is_refused(g):
    x = leaf()
    for use in (lambda y: y.backward(g), lambda y: ag.gradient(y, x, [g]), lambda y: ag.gradient(y, x, [g], create_graph=True)):
        with pytest.raises(ValueError) as caught:
            use(x * 2)
        says(str(caught.value), f"gradient of shape {np.shape(g)}", "output of shape (2,)")
    assert x.grad is None


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.complex128, object])
def test_a_gradient_of_the_wrong_kind_is_refused(dtype):
    x = leaf()
    with pytest.raises(TypeError) as caught:
        (x * 2).backward(np.ones(2, dtype))
    says(str(caught.value), f"gradient of dtype {np.dtype(dtype)}", "output of dtype float64", "astype('float64')")


def test_a_gradient_that_is_no_array_is_refused():
    for g in ("text", {}, object(), [1.0, "a"]):
        with pytest.raises((TypeError, ValueError)):
            (leaf() * 2).backward(g)


def test_a_complex_output_needs_a_gradient_that_says_what_is_meant():
    z = ag.tensor(np.array(1 + 1j), requires_grad=True)
    with pytest.raises(TypeError) as caught:
        (z * z).backward()
    says(str(caught.value), "complex", "real loss", "np.abs(y) ** 2")


def test_backward_of_what_was_not_recorded_is_refused():
    with ag.no_grad():
        y = leaf() * 2
    for t in (ag.tensor(1.0), y, leaf(3.0).detach()):
        with pytest.raises(RuntimeError) as caught:
            t.backward()
        says(str(caught.value), f"shape {t.shape}", "does not require grad", "requires_grad=True", "ag.no_grad()")


def test_gradient_of_what_is_no_tensor_is_refused():
    x = leaf()
    for outputs, inputs in ((1.0, x), (x.sum(), np.ones(2)), (x.sum(), [x, 1.0]), (None, x), (x.sum(), {"x": x})):
        with pytest.raises(TypeError) as caught:
            ag.gradient(outputs, inputs)
        says(str(caught.value), "gradient", "must be a Tensor or a sequence of Tensors")


def test_gradient_with_respect_to_an_untracked_tensor_is_refused():
    x = leaf()
    with pytest.raises(RuntimeError) as caught:
        ag.gradient(x.sum(), [x, ag.tensor([1.0])])
    says(str(caught.value), "input 1", "shape (1,)", "does not require grad")


def test_gradient_with_too_few_grad_outputs_is_refused():
    x = leaf()
    with pytest.raises(ValueError, match="2 outputs, but 1 grad_outputs"):
        ag.gradient([x * 2, x * 3], x, [np.ones(2)])


def test_a_gradient_of_nothing_is_refused():
    x = leaf()
    with pytest.raises((ValueError, RuntimeError)):
        ag.gradient([], x)
    assert ag.gradient(x.sum(), []) == ()


# --- operations ------------------------------------------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_are_numpys_error():
    x = leaf(np.ones((2, 3)))
    for wrong in (lambda: x + np.ones(4), lambda: x @ x, lambda: x.reshape(5), lambda: np.concatenate([x, np.ones((3, 2))]), lambda: x.sum(axis=5)):
        with pytest.raises(ValueError):
            wrong()
    assert x.grad is None


def test_an_index_out_of_bounds_is_numpys_error():
    x = leaf()
    for index in (2, -3, [0, 5], (0, 0)):
        with pytest.raises(IndexError):
            x[index]
    with pytest.raises(IndexError):
        x[1.5]


def test_a_tracked_tensor_as_an_index_is_refused():
    x = leaf([0.0, 1.0])
    with pytest.raises((TypeError, IndexError)):
        leaf()[x]


def test_numpy_on_a_tracked_tensor_says_how_to_leave_the_tape():
    with pytest.raises(TypeError) as caught:
        leaf().numpy()
    says(str(caught.value), "numpy()", "gradient", "t.detach().numpy()", "shape (2,)")


# --- rules -----------------------------------------------------------------------------------------------------------------------


def own(rule, **definition):
    @ag.op(x=rule, **definition)
    def own_operation(x):
        return np.asarray(x) * 2.0

    return own_operation


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("rule", "error", "parts"),
    [
        (lambda g: g[:1].repeat(3) if not isinstance(g, ag.Tensor) else np.ones(3), ValueError, ("returned shape (3,)", "expected (2,)")),
        (lambda g: 1.0, TypeError, ("returned float", "expected an array of shape (2,)")),
        (lambda g: "text", TypeError, ("returned str",)),
        (lambda g: [1.0, 2.0], TypeError, ("returned list",)),
    ],
)
def test_a_rule_that_returns_what_does_not_fit_is_named(rule, error, parts, create_graph):
    x = leaf()
    y = own(rule)(x)
    with pytest.raises(error) as caught:
        y.sum().backward(create_graph=create_graph)
    says(str(caught.value), "own_operation: rule for x", *parts)
    assert x.grad is None


def test_a_rule_for_an_argument_that_does_not_exist_is_refused():
    with pytest.raises(TypeError) as caught:
        own(lambda g: g, z=lambda g: g)(leaf())
    says(str(caught.value), "own_operation", "'z'", "its arguments are x")


def test_a_rule_that_asks_for_an_unknown_value_is_refused():
    with pytest.raises(TypeError) as caught:
        own(lambda g, slope: g)(leaf())
    says(str(caught.value), "own_operation", "'slope'")


def test_a_tracked_argument_without_a_rule_is_refused():
    @ag.op(x=lambda g, scale: g * scale)
    def scaled(x, scale):
        return x * scale

    assert ag.gradient(scaled(leaf(), 3.0).sum(), leaf(), allow_unused=True) is None
    with pytest.raises(TypeError) as caught:
        scaled(leaf(), ag.tensor(2.0, requires_grad=True))
    says(str(caught.value), "scaled", "'scale'", "ag.defvjp", "scale.detach()")


def test_a_function_whose_arguments_cannot_be_read_asks_for_them():
    with pytest.raises(TypeError) as caught:
        ag.defvjp(max, lambda g: g)
    says(str(caught.value), "max: its arguments cannot be read", "signature as text", "'x, axis=None'")


def test_an_operation_called_with_wrong_arguments_is_pythons_error():
    operation = own(lambda g: g)
    with pytest.raises(TypeError):
        operation(leaf(), 1, 2)
    with pytest.raises(TypeError):
        operation(y=leaf())
    with pytest.raises(TypeError):
        operation()


def test_a_complex_argument_where_the_function_has_no_complex_derivative_is_refused():
    z = ag.tensor(np.array([1 + 1j]), requires_grad=True)

    @ag.op(x=lambda g: g, real_only=True)
    def real_only(x):
        return np.real(x)

    with pytest.raises(TypeError) as caught:
        real_only(z)
    says(str(caught.value), "real_only", "complex", "x.detach()")
