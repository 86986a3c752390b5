"""What torch's users do with modules: extra states, hooks on states, other arrays in place of the own, parts by their paths, buffers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn


class Counting(nn.Module):
    """A layer with a state that is no array."""

    def __init__(self) -> None:
        self.linear = nn.Linear(2, 2, generator=0)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.linear(x)

    def get_extra_state(self) -> Any:
        return {"calls": self.calls}

    def set_extra_state(self, state: Any) -> None:
        self.calls = state["calls"]


# --- states ----------------------------------------------------------------------------------------------------------------------------


def test_an_extra_state_is_part_of_the_state_by_the_path_of_its_module(tmp_path: Any) -> None:
    model, other = nn.Sequential(Counting(), nn.Tanh()), nn.Sequential(Counting(), nn.Tanh())
    model(np.ones((1, 2), dtype=np.float32))
    state = model.state_dict()
    assert list(state) == ["0.linear.weight", "0.linear.bias", "0._extra_state"]
    other.load_state_dict(state)
    assert other[0].calls == 1
    with pytest.raises(KeyError, match=r"missing 0\._extra_state"):
        other.load_state_dict({name: value for name, value in state.items() if "extra" not in name})
    nn.save_checkpoint(tmp_path / "run.safetensors", model=model)
    third = nn.Sequential(Counting(), nn.Tanh())
    nn.load_checkpoint(tmp_path / "run.safetensors", model=third)
    assert third[0].calls == 1
    with pytest.raises(TypeError, match=r"save: '0\._extra_state' is no array but a dict"):
        nn.save(model, tmp_path / "model.safetensors")


def test_a_state_goes_into_a_given_dict_under_a_prefix_as_copies_or_not() -> None:
    layer, found = nn.Linear(2, 1), {"other": 1}
    assert layer.state_dict(destination=found, prefix="head.") is found
    assert list(found) == ["other", "head.weight", "head.bias"]
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert layer.state_dict()["weight"] is not layer.weight


def test_assigned_arrays_are_the_modules_own_with_their_dtype_in_the_parameters_that_were_there() -> None:
    layer = nn.BatchNorm1d(2)
    weight = layer.weight
    layer.bias.requires_grad = False
    layer(np.ones((3, 2), dtype=np.float32)).sum().backward()
    state = {name: np.ones(value.shape, value.dtype if value.dtype.kind == "i" else np.float64) for name, value in layer.state_dict().items()}
    layer.load_state_dict(state, assign=True)
    assert layer.weight is weight
    assert layer.weight.data is state["weight"]
    assert layer.running_mean.data is state["running_mean"]
    assert (layer.weight.requires_grad, layer.bias.requires_grad, layer.weight.grad) == (True, False, None)
    with pytest.raises(ValueError, match=r"weight has shape \(3,\), but the module's has shape \(2,\)"):
        layer.load_state_dict({**state, "weight": np.ones(3)}, assign=True)


def test_hooks_rename_what_is_loaded_and_see_what_was_made_and_loaded() -> None:
    model, seen = nn.Sequential(nn.Linear(2, 1, bias=False)), []

    def rename(module: Any, state: Any, prefix: str, *rest: Any) -> None:
        if f"{prefix}kernel" in state:
            state[f"{prefix}weight"] = state.pop(f"{prefix}kernel")

    model[0].register_load_state_dict_pre_hook(rename)
    model.register_load_state_dict_post_hook(lambda module, keys: seen.append(keys))
    given = {"0.kernel": np.full((1, 2), 3.0)}
    model.load_state_dict(given)
    np.testing.assert_array_equal(model[0].weight.data, [[3.0, 3.0]])
    assert list(given) == ["0.kernel"]  # the caller's dict is the caller's
    assert seen == [([], [])]

    model[0].register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append((prefix, keep_vars)))
    handle = model[0].register_state_dict_post_hook(lambda module, state, prefix, metadata: state.update({f"{prefix}version": 2}))
    assert list(model.state_dict(prefix="model.")) == ["model.0.weight", "model.0.version"]
    assert seen[-1] == ("model.0.", False)
    handle.remove()
    assert list(model.state_dict()) == ["0.weight"]

    model.register_load_state_dict_pre_hook(lambda *args: args[-1].append("too old"))
    with pytest.raises(RuntimeError, match="load_state_dict of Sequential: too old"):
        model.load_state_dict(given)


def test_states_and_orders_are_torchs() -> None:
    torch = pytest.importorskip("torch")

    def make(nn: Any) -> Any:
        model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.ParameterList([])}), nn.ReLU())
        model[0].add_module("extra", nn.PReLU())
        return model

    ours, theirs = make(nn), make(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_modules(prefix="m")] == [name for name, _ in theirs.named_modules(prefix="m")]
    visited: tuple[list[str], list[str]] = ([], [])
    ours.apply(lambda module: visited[0].append(type(module).__name__))
    theirs.apply(lambda module: visited[1].append(type(module).__name__))
    assert visited[0] == visited[1]


# --- parts by their paths --------------------------------------------------------------------------------------------------------------


def test_parts_are_found_and_replaced_by_their_paths() -> None:
    model = nn.Sequential(nn.ModuleDict({"head": nn.BatchNorm1d(3)}), nn.ReLU())
    assert model.get_parameter("0.head.weight") is model[0]["head"].weight
    assert model.get_buffer("0.head.running_mean") is model[0]["head"].running_mean
    for get, target in [(model.get_parameter, "0.head.running_mean"), (model.get_buffer, "0.head.weight"), (model.get_parameter, "0.tail.weight")]:
        with pytest.raises(AttributeError, match=r"has no (buffer|parameter|submodule)"):
            get(target)
    model.set_submodule("0.head", nn.Identity())
    model.set_submodule("1", nn.Tanh())
    model.set_submodule("2", nn.Tanh())
    assert [type(module).__name__ for module in model.modules()] == ["Sequential", "ModuleDict", "Identity", "Tanh", "Tanh"]
    with pytest.raises(AttributeError, match="has no submodule '3'"):
        model.set_submodule("3", nn.Tanh(), strict=True)
    with pytest.raises(TypeError, match="'1' must be a Module, not int"):
        model.set_submodule("1", 3)  # type: ignore[arg-type]


def test_a_memo_leaves_modules_out_and_duplicates_may_be_wanted() -> None:
    shared = nn.Tanh()
    model = nn.Sequential(shared, nn.Linear(1, 1), shared)
    assert [name for name, _ in model.named_modules({shared})] == ["", "1"]
    assert len(list(model.modules(remove_duplicate=False))) == 4


# --- buffers, devices, hooks -----------------------------------------------------------------------------------------------------------


def test_a_buffer_that_is_assigned_is_registered() -> None:
    module = nn.Identity()
    module.mean = nn.Buffer(np.zeros(2))
    module.scratch = nn.Buffer(np.zeros(1), persistent=False)
    assert list(module.state_dict()) == ["mean"]
    assert [name for name, _ in module.named_buffers()] == ["mean", "scratch"]
    module.mean = np.ones(2)
    assert isinstance(module.mean, ag.Tensor)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(other.state_dict()) == ["mean"]
    module.double().mean += 1
    with pytest.raises(TypeError, match="a Buffer in its place would no longer be one"):
        nn.Linear(1, 1).weight = nn.Buffer(np.zeros((1, 1)))  # type: ignore[assignment]


def test_there_is_one_device() -> None:
    layer = nn.Linear(2, 1)
    assert layer.cpu() is layer
    with pytest.raises(ValueError, match=r"Linear\.to: there is no device 'cuda:1'"):
        layer.cuda(1)


def test_a_hook_that_is_always_called_sees_that_there_is_no_result() -> None:
    class Failing(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("no")

    seen: list[Any] = []
    module = Failing()
    module.register_forward_hook(lambda *args: seen.append("not called"))
    module.register_forward_hook(lambda module, args, result: seen.append(result), always_call=True)
    module.register_forward_hook(lambda module, args, kwargs, result: seen.append((kwargs, result)), always_call=True, with_kwargs=True)
    with pytest.raises(ValueError, match="no"):
        module(1)
    assert seen == [None, ({}, None)]


# --- what torch has besides ------------------------------------------------------------------------------------------------------------


def test_batch_norms_become_synchronised_ones_that_compute_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.BatchNorm1d(3, momentum=None, bias=False)))
    model(x)
    expected, state = copy.deepcopy(model).eval()(x), model.state_dict()
    made = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(made[1][0]) is nn.SyncBatchNorm
    assert list(made.state_dict()) == list(state)
    np.testing.assert_array_equal(made.eval()(x).detach(), expected.detach())
    assert isinstance(nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(2)), nn.SyncBatchNorm)
    with pytest.raises(ValueError, match="process_group must be None, not 'world'"):
        nn.SyncBatchNorm(3, process_group="world")  # type: ignore[arg-type]


# --- mistakes of newcomers -------------------------------------------------------------------------------------------------------------

X, Y = np.ones((2, 4), dtype=np.float32), np.array([0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.CrossEntropyLoss(X, Y), r"CrossEntropyLoss: size_average and reduce .* shape \(2,\); .* CrossEntropyLoss\(\)\(input, target\)"),
        (lambda: nn.MSELoss(X, X), r"MSELoss: .* not an array of shape \(2, 4\); .* MSELoss\(\)\(input, target\)"),
        (lambda: nn.Sequential([nn.ReLU()]), r"Sequential.add_module: '0' must be a Module or None, not list; put a star before it"),
        (lambda: nn.Sequential(nn.Linear(1, 1), nn.ReLU), r"Sequential.add_module: '1' must be .* not the class ReLU; write ReLU\(\)"),
        (lambda: nn.ModuleList([nn.ReLU]), r"ModuleList: what is put in must be a Module, not the class ReLU; write ReLU\(\)"),
        (lambda: nn.ModuleDict({"a": 3}), "ModuleDict: 'a' must be a Module, not int"),
        (lambda: nn.Sequential(nn.LSTM(4, 5), nn.Linear(5, 2))(X), "not tuple; take one of what the layer before returned"),
        (lambda: nn.Linear(4, 2)([[1.0]]), r"not list; np.asarray\(...\) makes one of a list"),
    ],
)
def test_a_newcomers_mistake_is_told_with_what_to_write(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()
