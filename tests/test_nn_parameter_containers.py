"""Lists and dicts of parameters: what they hold is found, named as torch names it, and they are like Python's own."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nn


def test_parameters_in_lists_and_dicts_have_torchs_names() -> None:
    torch = pytest.importorskip("torch")

    class Model(nn.Module):
        def __init__(self) -> None:
            self.list = nn.ParameterList([nn.Parameter(np.ones(2)), np.zeros((1, 2))])
            self.dict = nn.ParameterDict({"a": np.ones(2), "b": nn.Parameter(np.ones(1))})

    class Twin(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.list = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2)), torch.zeros((1, 2))])
            self.dict = torch.nn.ParameterDict({"a": torch.ones(2), "b": torch.nn.Parameter(torch.ones(1))})

    model, twin = Model(), Twin()
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in twin.named_parameters()]
    model.load_state_dict({name: value + 1 for name, value in twin.state_dict().items()})
    np.testing.assert_array_equal(model.list[1].detach(), np.ones((1, 2)))
    parts = nn.ModuleList([model.list, model.dict])
    for clone in (copy.deepcopy(parts), pickle.loads(pickle.dumps(parts))):
        assert [name for name, _ in clone.named_parameters()] == ["0.0", "0.1", "1.a", "1.b"]
        assert clone[0][0] is not model.list[0]


def test_a_parameter_list_is_a_list() -> None:
    a, b, c, d = (nn.Parameter(np.full(1, float(i))) for i in range(4))
    parameters = nn.ParameterList([a])
    parameters.append(c)
    parameters.insert(1, b)
    parameters += [d]
    assert [p is q for p, q in zip(parameters, [a, b, c, d], strict=True)] == [True] * 4
    assert [name for name, _ in parameters.named_parameters()] == ["0", "1", "2", "3"]
    assert parameters[-1] is d
    assert [p is q for p, q in zip(parameters[1:3], [b, c], strict=True)] == [True] * 2
    assert isinstance(parameters[1:3], nn.ParameterList)
    assert parameters.pop(0) is a
    del parameters[0]
    parameters[0] = np.array([7.0])
    assert len(parameters) == 2
    assert parameters[0].item() == 7.0
    with pytest.raises(IndexError):
        parameters[5]
    with pytest.raises(TypeError, match="int64 values have no gradients"):
        parameters.append(np.arange(3))
    assert len({parameters, parameters, nn.ParameterList()}) == 2
    assert repr(parameters).splitlines() == [
        "ParameterList(",
        "  (0): Parameter of shape (1,), float64",
        "  (1): Parameter of shape (1,), float64",
        ")",
    ]
    assert repr(nn.ParameterList()) == "ParameterList()"


@pytest.mark.parametrize("name", ["values", "training", "keys", "forward", "0"])
def test_a_parameter_dict_takes_any_name_without_a_dot(name: str) -> None:
    parameters = nn.ParameterDict({name: np.ones(2)})
    assert list(parameters) == [name]
    assert [key for key, _ in parameters.named_parameters()] == [name]
    assert list(parameters.state_dict()) == [name]
    assert parameters.training is True
    assert len(list(parameters.values())) == 1


def test_a_parameter_dict_is_a_dict() -> None:
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.ones(1))
    parameters = nn.ParameterDict([("a", a)])
    parameters.update({"b": b})
    assert parameters.b is b
    assert "a" in parameters
    assert parameters.get("c") is None
    assert (parameters | {"c": a})["c"] is a
    assert len(parameters) == 2
    parameters |= {"c": a}
    assert parameters.pop("c") is a
    assert list(parameters.copy().items()) == list(parameters.items())
    parameters.clear()
    assert not parameters
    assert list(parameters.parameters()) == []
    for bad in ("", "a.b", 1):
        with pytest.raises(KeyError, match="cannot name a parameter"):
            parameters[bad] = a  # type: ignore[index]
    with pytest.raises(AttributeError, match="ParameterDict has no attribute 'z'"):
        parameters.z
