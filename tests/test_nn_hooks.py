"""Hooks on modules: what they are given, what they may replace, and that they do as in torch."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest

import autograd_core as ag
import nn

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)


def leaf(value):
    return ag.tensor(value, requires_grad=True)


class Pair(NamedTuple):
    left: object
    right: object


class Sums(nn.Module):
    """Of several arguments, and with several results of the given kind."""

    def __init__(self, kind=tuple):
        self.kind = kind

    def forward(self, a, b, scale=1.0):
        parts = [(a + b) * scale, a * b]
        return Pair(*parts) if self.kind is Pair else dict(zip("pq", parts, strict=True)) if self.kind is dict else self.kind(parts)


# --- forward ----------------------------------------------------------------------------------------------------------------------


def test_hooks_whose_handles_nobody_keeps_stay_and_run_in_order():
    module, seen = nn.ReLU(), []
    for i in range(5):
        module.register_forward_hook(lambda module, args, result, i=i: seen.append(i))
    module.register_forward_hook(lambda module, args, result: seen.append("first"), prepend=True)
    module(X)
    assert seen == ["first", 0, 1, 2, 3, 4]


def test_a_handle_takes_off_its_own_hook_only_and_once():
    module, seen = nn.ReLU(), []
    handles = [module.register_forward_pre_hook(lambda module, args, i=i: seen.append(i)) for i in range(3)]
    handles[1].remove()
    handles[1].remove()
    module(X)
    assert seen == [0, 2]
    for handle in handles:
        handle.remove()
    assert module._hooks == {}  # a module without hooks asks one question
    with module.register_forward_pre_hook(lambda module, args: seen.append("inside")):
        module(X)
    module(X)
    assert seen == [0, 2, "inside"]


def test_hooks_that_want_the_keywords_get_and_replace_them():
    module, seen = Sums(), []
    module.register_forward_pre_hook(lambda module, args, kwargs: (args, {"scale": kwargs["scale"] * 10}), with_kwargs=True)
    module.register_forward_hook(lambda module, args, kwargs, result: seen.append(kwargs), with_kwargs=True)
    assert np.array_equal(module(X, X, scale=2.0)[0], 40 * X)
    assert seen == [{"scale": 20.0}]
    module.register_forward_pre_hook(lambda module, args, kwargs: args[0], with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"Sums: .* must return None or \(args, kwargs\)"):
        module(X, X, scale=2.0)


def test_a_hook_that_raises_leaves_the_module_as_it_was():
    module = nn.ReLU()

    def fails(module, args):
        raise KeyError("mine")

    handle = module.register_forward_pre_hook(fails)
    with pytest.raises(KeyError, match="mine"):
        module(X)
    handle.remove()
    assert np.array_equal(module(X), np.maximum(X, 0))


# --- backward ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [tuple, list, dict, Pair])
def test_a_backward_hook_sees_the_gradients_of_all_inputs_and_outputs(kind):
    module, seen = Sums(kind), []
    module.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((module, grad_input, grad_output)))
    a, b = leaf(X), leaf(X + 2)
    result = module(a, b)
    assert type(result) is kind
    first, second = result.values() if kind is dict else result
    (first.sum() + (3 * second).sum()).backward()
    ((of, grad_input, grad_output),) = seen
    assert of is module
    assert [g.data.tolist() for g in grad_output] == [np.ones_like(X).tolist(), np.full_like(X, 3).tolist()]
    assert np.allclose(grad_input[0].data, 1 + 3 * (X + 2))
    assert np.allclose(grad_input[1].data, 1 + 3 * X)
    assert np.array_equal(a.grad.data, grad_input[0].data)


def test_what_a_backward_hook_returns_takes_the_gradients_place():
    module = nn.Tanh()
    module.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 10,))
    module.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] + grad_output[0],))
    x = leaf(X)
    module(x).sum().backward()
    assert np.allclose(x.grad.data, 10 * (1 - np.tanh(X) ** 2) + 1)


def test_a_backward_pre_hook_replaces_the_outputs_gradient_before_the_module():
    module = nn.Linear(3, 2, generator=0).double()
    module.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 5,))
    x = leaf(X)
    module(x).sum().backward()
    assert np.allclose(module.bias.grad.data, [10, 10])
    assert np.allclose(x.grad.data, 5 * module.weight.data.sum(axis=0))


def test_a_backward_hook_is_called_where_only_the_parameters_need_gradients():
    module, seen = nn.Linear(3, 2, generator=0).double(), []
    module.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output[0].shape)))
    module(X).sum().backward()
    assert seen == [((None,), (2, 2))]


def test_a_backward_hook_is_called_once_for_each_call_of_a_shared_module():
    module, seen = nn.Tanh(), []
    module.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_output[0].data.copy()))
    x = leaf(X)
    module(module(x)).sum().backward()
    assert len(seen) == 2
    assert np.allclose(seen[1], 1 - np.tanh(np.tanh(X)) ** 2)


def test_a_removed_backward_hook_is_gone_and_without_recording_it_costs_no_node():
    module, seen = nn.Tanh(), []
    handle = module.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(1))
    with ag.no_grad():
        assert not module(leaf(X)).requires_grad
    assert module(ag.tensor(X)).requires_grad is False
    handle.remove()
    module(leaf(X)).sum().backward()
    assert not seen


def test_second_order_goes_through_hooked_modules():
    def energy(hooked):
        module = nn.Tanh()
        if hooked:
            module.register_full_backward_hook(lambda module, grad_input, grad_output: None)
        return ag.hessian(lambda x: np.sum(module(module(x)) ** 2))(X[0])

    assert np.allclose(energy(True), energy(False), rtol=1e-12)


def test_a_retained_graph_calls_the_hook_again():
    module, seen = nn.Tanh(), []
    module.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(1))
    y = module(leaf(X)).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("hook", "error", "message"),
    [
        (lambda module, grad_input, grad_output: grad_input * 2, RuntimeError, "Tanh: a backward hook returned 2 gradients in place of grad_input"),
        (lambda module, grad_input, grad_output: (grad_input[0][0],), ValueError, "Tanh backward hook: .* shape \\(3,\\) .* expected \\(2, 3\\)"),
    ],
)
def test_what_does_not_fit_is_refused(hook, error, message):
    module = nn.Tanh()
    module.register_full_backward_hook(hook)
    with pytest.raises(error, match=message):
        module(leaf(X)).sum().backward()


def test_a_module_that_returns_no_tensor_cannot_have_a_backward_hook():
    class Text(nn.Module):
        def forward(self, x):
            return "text"

    module = Text()
    module.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    with pytest.raises(TypeError, match="Text: a backward hook needs a module that returns a tensor"):
        module(leaf(X))


def test_hooks_are_copied_with_the_module_and_are_the_copys_own():
    module, seen = nn.ReLU(), []
    handle = module.register_forward_hook(seen_by(seen))
    other = copy.deepcopy(module)
    handle.remove()
    other(X)
    module(X)
    assert len(other._hooks) == 1
    assert not module._hooks


def seen_by(seen):
    def hook(module, args, result):
        seen.append(module)

    return hook


def test_pictures_name_the_modules_of_hooked_calls():
    model = nn.Sequential(nn.Linear(3, 2, generator=0).double(), nn.Tanh())
    model[1].register_forward_pre_hook(lambda module, args: None)
    model[0].register_full_backward_hook(lambda module, grad_input, grad_output: None)
    with ag.profile() as measured:
        model(leaf(X)).sum().backward()
    modules = {event.module for event in measured.events}
    assert {"Sequential.0", "Sequential.1"} <= modules
    assert {event.module for event in measured.events if event.name == "tanh"} == {"Sequential.1"}


# --- beside torch -----------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_backward_hooks_do_as_in_torch():
    torch = pytest.importorskip("torch")

    def build(package, to_tensor):
        model = package.Sequential(package.Linear(3, 4), package.Tanh(), package.Linear(4, 2))
        rng = np.random.default_rng(0)
        model.double()
        model.load_state_dict({name: to_tensor(rng.normal(size=tuple(p.shape))) for name, p in model.named_parameters()})
        seen = []
        model[1].register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 3 + grad_output[0],))
        model[2].register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
        model[0].register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
        model[2].register_forward_hook(lambda module, args, result: result + args[0].sum())
        return model, seen

    ours, seen_here = build(nn, ag.tensor)
    theirs, seen_there = build(torch.nn, torch.tensor)
    (ours(ag.tensor(X)) ** 2).sum().backward()
    (theirs(torch.tensor(X)) ** 2).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert np.allclose(a.grad.data, b.grad.numpy(), rtol=1e-12)
    assert seen_here[0][0] == seen_there[0][0] == (None,)
    assert np.allclose(seen_here[0][1][0].data, seen_there[0][1][0].numpy(), rtol=1e-12)


def test_a_handle_shows_its_hook_and_whether_it_is_on() -> None:
    handle = nn.ReLU().register_forward_hook(print)
    assert repr(handle) == "HookHandle(forward hook print)"
    handle.remove()
    assert repr(handle) == "HookHandle(forward hook, removed)"
