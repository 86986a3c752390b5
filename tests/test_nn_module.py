"""Modules: what is found, in which order, how it is saved, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn


class Block(nn.Module):
    def __init__(self) -> None:
        self.first = nn.Linear(2, 3, generator=0)
        self.scale = nn.Parameter(np.ones(3))
        self.second = nn.Linear(3, 1, bias=False, generator=1)
        self.register_buffer("mean", np.zeros(3))
        self.register_buffer("scratch", np.zeros(1), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x) * self.scale)


def test_parameters_are_named_by_their_path_own_ones_before_those_of_submodules() -> None:
    assert [name for name, _ in Block().named_parameters()] == ["scale", "first.weight", "first.bias", "second.weight"]


def test_names_and_order_are_torchs() -> None:
    torch = pytest.importorskip("torch")

    class TorchBlock(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(2, 3)
            self.scale = torch.nn.Parameter(torch.ones(3))
            self.second = torch.nn.Linear(3, 1, bias=False)
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("scratch", torch.zeros(1), persistent=False)

    theirs, ours = TorchBlock(), Block()
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.first.weight.data, theirs.first.weight.detach().numpy())


def test_a_subclass_need_not_call_super_init() -> None:
    assert len(list(Block().parameters())) == 4


def test_a_shared_parameter_is_given_once_and_saved_under_both_names() -> None:
    a, b = nn.Linear(2, 2, generator=0), nn.Linear(2, 2, generator=0)
    b.weight = a.weight
    model = nn.Sequential(a, b)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert "1.weight" in model.state_dict()
    clone = copy.deepcopy(model)
    assert clone[0].weight is clone[1].weight
    assert clone[0].weight is not a.weight


def test_a_module_that_contains_itself_can_be_walked_and_printed() -> None:
    loop = Block()
    loop.child = nn.Sequential(loop)
    assert len(list(loop.modules())) == 4
    assert "(0): Block(...)" in repr(loop)
    assert loop.eval().training is False
    assert "scale" in loop.state_dict()


def test_a_nest_of_5000_modules_needs_no_recursion() -> None:
    model: nn.Module = nn.Linear(1, 1, generator=0)
    for _ in range(5000):
        outer = nn.Sequential(model)
        model = outer
    assert len(list(model.modules())) == 5001
    assert len(list(model.parameters())) == 2
    assert repr(model).count("\n") == 10_000


def test_repr_is_a_tree() -> None:
    model = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.Sequential(nn.ReLU(), nn.Softmax(dim=1))})
    assert repr(model).splitlines() == [
        "Sequential(",
        "  (a): Linear(in_features=2, out_features=3, bias=True)",
        "  (b): Sequential(",
        "    (0): ReLU()",
        "    (1): Softmax(dim=1)",
        "  )",
        ")",
    ]


def test_train_and_eval_reach_all_modules() -> None:
    model = nn.Sequential(Block(), nn.ReLU())
    model.eval()
    assert not any(module.training for module in model.modules())
    model.train()
    assert all(module.training for module in model.modules())


def test_zero_grad_forgets_or_zeroes() -> None:
    model = nn.Linear(2, 1, generator=0)
    model(np.ones(2, dtype=np.float32)).sum().backward()
    model.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(model.weight.grad.data, np.zeros((1, 2)))
    model.zero_grad()
    assert model.weight.grad is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_and_gradients_keep_their_dtype(dtype: Any) -> None:
    model = nn.MLP(3, 4, 2, dtype=dtype, generator=0)
    y = model(np.ones((5, 3), dtype=dtype))
    y.sum().backward()
    assert y.dtype == dtype
    assert {p.dtype for p in model.parameters()} == {p.grad.dtype for p in model.parameters()} == {np.dtype(dtype)}


def test_double_converts_and_keeps_requiring_gradients() -> None:
    model = nn.MLP(3, 4, 2, generator=0).double()
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())
    model(np.ones(3)).sum().backward()
    assert model[0].weight.grad.dtype == np.float64


def test_state_dict_is_a_snapshot_and_loads_plain_arrays() -> None:
    model = nn.Linear(2, 1, generator=0)
    before = model.state_dict()
    kept = before["weight"].numpy().copy()
    model.weight.data[...] = 7
    np.testing.assert_array_equal(before["weight"].numpy(), kept)
    result = model.load_state_dict({"weight": kept, "bias": [0.5]})
    np.testing.assert_array_equal(model.weight.data, kept)
    assert result.missing_keys == result.unexpected_keys == []


def test_loading_a_state_that_does_not_fit_names_the_key_and_changes_nothing() -> None:
    model = nn.Linear(2, 3, generator=0)
    before = model.state_dict()
    good = {"weight": np.zeros((3, 2)), "bias": np.zeros(3)}
    with pytest.raises(KeyError, match=r"missing bias; unexpected bais; \(did you mean bias by bais\?\)"):
        model.load_state_dict({"weight": good["weight"], "bais": good["bias"]})
    with pytest.raises(ValueError, match=r"bias has shape \(4,\), but the module's has shape \(3,\)"):
        model.load_state_dict(good | {"bias": np.zeros(4)})
    with pytest.raises(TypeError, match="bias has dtype <U1"):
        model.load_state_dict(good | {"bias": np.array(["a", "b", "c"])})
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())
    assert model.load_state_dict({"weight": np.ones((3, 2)), "x": 1.0}, strict=False) == (["bias"], ["x"])
    np.testing.assert_array_equal(model.weight.data, 1)


def test_a_parameter_is_not_silently_replaced_by_something_else() -> None:
    model = nn.Linear(2, 1, generator=0)
    with pytest.raises(TypeError, match=r"Linear.weight is a parameter, and a Tensor in its place"):
        model.weight = model.weight * 2
    with pytest.raises(TypeError, match="is a submodule"):
        nn.Sequential(model).__setattr__("0", np.ones(2))
    model.bias = None
    assert [name for name, _ in model.named_parameters()] == ["weight"]
    del model.weight
    assert not list(model.parameters())


def test_a_plain_list_of_modules_warns_and_a_module_list_does_not() -> None:
    module: Any = nn.Module()
    with pytest.warns(UserWarning, match=r"Module.layers is a plain list.*nn.ModuleList"):
        module.layers = [nn.Linear(1, 1)]
    module.parts = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    assert [name for name, _ in module.named_parameters()] == ["parts.0.weight", "parts.0.bias"]
    assert isinstance(module.parts[1], nn.ReLU)
    assert len(module.parts[:1]) == 1
    named = nn.ModuleDict({"a": nn.ReLU()})
    named["b"] = nn.Tanh()
    assert list(named) == ["a", "b"]
    assert "b" in named
    with pytest.raises(KeyError):
        named["c"]


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training"])
def test_a_buffer_needs_a_free_name(name: str) -> None:
    with pytest.raises(KeyError):
        nn.Linear(1, 1).register_buffer(name, np.zeros(1))


def test_hooks_see_and_may_replace_arguments_and_results() -> None:
    model = nn.ReLU()
    before = model.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    after = model.register_forward_hook(lambda module, args, result: result * 10)
    np.testing.assert_array_equal(model(np.array([-3.0, 1.0])), [0.0, 20.0])
    before.remove()
    after.remove()
    np.testing.assert_array_equal(model(np.array([-3.0, 1.0])), [0.0, 1.0])


def test_a_module_survives_pickling_and_copying() -> None:
    model = nn.Sequential(Block(), nn.ReLU())
    for clone in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert [n for n, _ in clone.named_parameters()] == [n for n, _ in model.named_parameters()]
        x = np.ones((2, 2), dtype=np.float32)
        np.testing.assert_array_equal(clone(x).detach().numpy(), model(x).detach().numpy())
        assert all(a is not b for a, b in zip(clone.parameters(), model.parameters(), strict=True))
        assert all(p.is_leaf and p.requires_grad and isinstance(p, nn.Parameter) for p in clone.parameters())


def test_functional_call_uses_the_given_parameters_and_puts_the_own_ones_back() -> None:
    model = nn.Linear(2, 1, dtype=np.float64, generator=0)
    weight = ag.tensor([[3.0, 4.0]], requires_grad=True)
    own = model.weight
    nn.functional_call(model, {"weight": weight}, np.ones(2)).sum().backward()
    np.testing.assert_array_equal(weight.grad.data, [[1.0, 1.0]])
    assert model.weight is own
    assert own.grad is None
    with pytest.raises(ValueError, match="linear: input of shape"):
        nn.functional_call(model, {"weight": np.ones((1, 5))}, np.ones(2))
    assert model.weight is own
    with pytest.raises(KeyError, match=r"no parameter or buffer 'wait'"):
        nn.functional_call(model, {"wait": weight}, np.ones(2))


def test_an_integer_parameter_and_a_forgotten_forward_are_errors() -> None:
    with pytest.raises(TypeError, match="int64 values have no gradients"):
        nn.Parameter(np.arange(3))
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        nn.Module()(1)
    with pytest.raises(ValueError, match=r"Linear: in_features must be an integer >= 0, not 1.5"):
        nn.Linear(1.5, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="MLP: needs the sizes"):
        nn.MLP(3)


def test_a_module_call_is_a_scope_of_recordings_and_leaves_no_trace_when_it_raises() -> None:
    model = nn.Sequential(nn.Linear(2, 3, generator=0), nn.ReLU())
    with ag.record(values=False):
        y = model(np.ones((1, 2), dtype=np.float32)).sum()
        with pytest.raises(ValueError, match="linear: input of shape"):
            model(np.ones((1, 5), dtype=np.float32))
    text = str(ag.draw(y, params=model))
    assert "ReLU" in text
    assert "Linear" in text
    assert ag.observer() is None


class Stack(nn.Module):
    """Two layers, one weight."""

    def __init__(self) -> None:
        self.a = nn.Linear(2, 2, bias=False, dtype=np.float64, generator=0)
        self.b = nn.Linear(2, 2, bias=False, dtype=np.float64, generator=1)
        self.b.weight = self.a.weight

    def forward(self, x: Any) -> Any:
        return self.b(np.tanh(self.a(x)))


@pytest.mark.parametrize("name", ["a.weight", "b.weight"])
def test_a_tied_weight_is_one_parameter_whatever_name_it_is_given_under(name: str) -> None:
    model, x = Stack(), np.array([0.5, -1.0])
    weight = np.array([[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_allclose(nn.functional_call(model, {name: weight}, x), np.tanh(x @ weight.T) @ weight.T)
    apart = nn.functional_call(model, {name: weight}, x, tie_weights=False)
    assert not np.allclose(apart.detach(), np.tanh(x @ weight.T) @ weight.T)
    assert model.a.weight is model.b.weight
    with pytest.raises(ValueError, match=r"are one parameter of Stack"):
        nn.functional_call(model, {"a.weight": weight, "b.weight": weight + 1}, x)
    with pytest.raises(KeyError, match=r"strict, but b\.bias"):
        nn.functional_call(nn.ModuleDict({"b": nn.Linear(1, 1)}), {"b.weight": np.ones((1, 1))}, x, strict=True)


def test_the_gradient_of_a_tied_weight_is_checked_as_that_of_one_parameter() -> None:
    class Checked(Stack):
        def forward(self, x: Any) -> Any:
            assert self.a.weight is self.b.weight
            return super().forward(x)

    assert ag.gradcheck(Checked(), np.array([0.5, -1.0]))


def test_a_state_with_two_values_for_a_tied_weight_is_refused() -> None:
    model = Stack()
    state = model.state_dict()
    model.load_state_dict({name: 2 * value.numpy() for name, value in state.items()})
    np.testing.assert_array_equal(model.b.weight.data, 2 * state["b.weight"].numpy())
    with pytest.raises(ValueError, match=r"a.weight and b.weight are one parameter"):
        model.load_state_dict({"a.weight": np.ones((2, 2)), "b.weight": np.zeros((2, 2))})
    np.testing.assert_array_equal(model.b.weight.data, 2 * state["b.weight"].numpy())


@pytest.mark.parametrize(
    "make",
    [
        lambda: [[nn.Linear(1, 1)]],
        lambda: {"a": (1, {"b": nn.Linear(1, 1)})},
        lambda: (nn.Parameter(np.ones(1)),),
        lambda: [ag.tensor([1.0], requires_grad=True)],
        lambda: ag.tensor([1.0], requires_grad=True),
    ],
    ids=["list in list", "dict in tuple in dict", "parameters", "tensors", "a bare tensor"],
)
def test_what_is_neither_trained_nor_saved_is_said(make: Any) -> None:
    module: Any = nn.Module()
    with pytest.warns(UserWarning, match=r"Module.layers is a .* neither trained nor saved"):
        module.layers = make()
    assert not list(module.parameters())  # said once is enough


def test_a_list_that_is_filled_later_is_noticed_when_the_parameters_are_asked_for() -> None:
    module: Any = nn.Module()
    module.layers = []
    module.layers.append(nn.Linear(1, 1))
    with pytest.warns(UserWarning, match="plain list"):
        assert not list(module.parameters())
    module = nn.Module()
    module.layers = {"a": []}
    module.layers["a"].append(nn.Linear(1, 1))
    with pytest.warns(UserWarning, match="plain dict"):
        module.state_dict()


def test_a_list_of_what_is_found_anyway_is_no_loss() -> None:
    model: Any = nn.Module()
    model.a, model.inner = nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1))
    model.all = [model.a, model.inner[0]]
    model.activations = [ag.tensor([1.0], requires_grad=True) * 2]
    model.endless = [1.0]
    model.endless.append(model.endless)
    assert len(list(model.parameters())) == 4


def test_to_takes_what_torchs_takes_and_refuses_the_rest_before_it_changes_anything() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model[0].bias.requires_grad = False
    for args, dtype in [(("cpu",), "float32"), ((np.float64,), "float64"), (("cpu:0", "float16"), "float16"), ((ag.tensor([1.0]),), "float64")]:
        assert model.to(*args) is model
        assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)}
    assert model.to(device="cpu", dtype=np.float32)[0].weight.dtype == np.float32
    for wrong, error in [("cuda", ValueError), ("spam", TypeError), (int, TypeError), (None, None)]:
        if error is None:
            model.to(wrong)
        else:
            with pytest.raises(error, match=r"Sequential\.to: "):
                model.to(wrong)
    with pytest.raises(TypeError, match="unknown argument 'memory'"):
        model.to(memory=1)
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True]


def test_modules_are_put_into_lists_and_taken_out_as_from_pythons() -> None:
    a, b, c, d = nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Linear(1, 1)
    modules = nn.ModuleList([a, b])
    modules.insert(0, c).insert(-1, d)
    assert list(modules) == [c, a, d, b]
    assert [name for name, _ in modules.named_children()] == ["0", "1", "2", "3"]
    assert modules.pop() is b
    assert modules.pop(0) is c
    del modules[0]
    assert list(modules) == [d]
    assert [name for name, _ in modules.named_parameters()] == ["0.weight", "0.bias"]
    modules += [a]
    assert list(modules + nn.ModuleList([b])) == [d, a, b]
    assert list(modules) == [d, a]
    with pytest.raises(IndexError):
        del modules[5]
    with pytest.raises(TypeError, match="must be a Module"):
        modules.insert(0, 1)  # type: ignore[arg-type]
    sequence = nn.Sequential(d, a, nn.Linear(1, 2))
    del sequence[1]
    assert sequence(np.ones(1)).shape == (2,)
    assert list(sequence.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    named = nn.Sequential({"first": d, "then": a})
    del named[0]
    assert [name for name, _ in named.named_children()] == ["then"]


@pytest.mark.parametrize("name", ["values", "training", "forward", "_hooks", "0", "_named"])
def test_any_name_is_a_key_of_a_module_dict(name: str) -> None:
    layers = nn.ModuleDict({name: nn.Linear(1, 1, dtype=np.float64, generator=0)})
    assert isinstance(layers[name], nn.Linear)
    assert layers.values() == [layers[name]]
    assert layers.training is True
    assert list(layers.state_dict()) == [f"{name}.weight", f"{name}.bias"]
    assert layers.get_submodule(name) is layers[name]
    assert layers.eval()[name].training is False
    clone = pickle.loads(pickle.dumps(copy.deepcopy(layers)))
    clone.load_state_dict({f"{name}.weight": [[2.0]], f"{name}.bias": [1.0]})
    layers.forward = lambda x: layers[name](x)  # type: ignore[method-assign]
    np.testing.assert_array_equal(nn.functional_call(layers, {f"{name}.weight": np.zeros((1, 1)), f"{name}.bias": np.ones(1)}, np.ones(1)), [1.0])
    assert f"({name}): Linear" in repr(clone)
    del layers[name]
    assert name not in layers
    assert not layers


def test_a_module_dict_gives_its_modules_as_attributes_too() -> None:
    layers = nn.ModuleDict([("encoder", nn.ReLU())])
    assert layers.encoder is layers["encoder"]
    assert layers.pop("encoder").training
    with pytest.raises(AttributeError, match="has no attribute 'encoder'"):
        _ = layers.encoder
    with pytest.raises(KeyError, match="without dots"):
        layers["a.b"] = nn.ReLU()
    with pytest.raises(TypeError, match="must be a Module"):
        layers["a"] = 1  # type: ignore[assignment]


def test_an_mlp_takes_its_activation_as_a_class_a_module_or_a_name() -> None:
    for activation in (nn.Tanh, nn.Tanh(), "tanh", "Tanh"):
        model = nn.MLP(2, 3, 3, 1, activation=activation)
        assert isinstance(model[1], nn.Tanh)
        assert isinstance(model[3], nn.Tanh)
        assert model[1] is not model[3]
    with pytest.raises(ValueError, match=r"activation 'rely' is unknown; there are .*relu.*nn.ReLU"):
        nn.MLP(2, 3, 1, activation="rely")
    with pytest.raises(TypeError, match="activation must be a module class"):
        nn.MLP(2, 3, 1, activation=3)
