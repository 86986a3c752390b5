"""Names, arguments, their order and defaults: everything that torch.nn and we both have, compared by machine."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import nn

# What torch has and we have not, and why. A name that appears in a later torch fails the test until somebody decides.
LEFT_OUT = {
    "CrossMapLRN2d": "LocalResponseNorm, which it is",
    "Container": "long deprecated",
    "NLLLoss2d": "NLLLoss",
    "RNNCellBase": "an implementation detail",
    "DataParallel": "devices",
    "LinearCrossEntropyOptions": "how the loss is cut into chunks",
}
LEFT_OUT_FUNCTIONS = {
    **dict.fromkeys(
        ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"], "write y = f(x): values are not written over"
    ),
    **dict.fromkeys([f"{kind}_max_pool{n}d_with_indices" for kind in ("adaptive", "fractional") for n in (1, 2, 3)], "return_indices=True"),
    **dict.fromkeys([f"max_pool{n}d_with_indices" for n in (1, 2, 3)], "return_indices=True"),
    "conv_tbc": "conv1d of the axes in another order",
    **dict.fromkeys(["grouped_mm", "scaled_grouped_mm", "scaled_mm", "native_channel_shuffle"], "kernels of GPUs"),
    **dict.fromkeys(["boolean_dispatch", "handle_torch_function", "assert_int_or_pair"], "an implementation detail"),
    **dict.fromkeys(["has_torch_function", "has_torch_function_unary", "has_torch_function_variadic", "Optional"], "an implementation detail"),
}
# Arguments that are not compared: torch's are hidden in *args, or stand for what no array of NumPy's has.
SIGNATURES_ELSEWHERE = {"Buffer", "UninitializedBuffer"}
ROOMS = ["utils", "utils.rnn", "utils.parametrizations", "utils.parametrize", "utils.fusion", "init"]
IGNORED_ARGUMENTS = {"_stacklevel", "args", "kwargs", "get_members_fn"}


def public(room: Any, kind: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(room).items() if not name.startswith("_") and kind(value)}


def arguments(function: Any) -> list[tuple[str, Any]]:
    """(name, default) of what may be given by place, in order; functions as defaults by their names."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = [p for p in inspect.signature(function).parameters.values() if p.kind in kinds and p.name not in IGNORED_ARGUMENTS]
    return [(p.name, getattr(p.default, "__name__", p.default)) for p in found]


def compare(ours: Any, theirs: Any, what: str) -> bool:
    """Assert that ours takes torch's arguments in torch's order with torch's defaults, and more only after them; False if torch's are hidden."""
    try:
        wanted, found = arguments(theirs), arguments(ours)
    except (TypeError, ValueError):  # a built-in function
        return False
    if any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(theirs).parameters.values()):
        return False
    # What torch asks for may have a default here: list.pop() takes the last one.
    asked = [
        (name, wanted_default if wanted_default == "_empty" else default) for (name, default), (_, wanted_default) in zip(found, wanted, strict=False)
    ]
    assert asked == wanted, what
    return True


def test_every_class_and_function_of_torch_nn_is_here_or_left_out_for_a_reason() -> None:
    torch = pytest.importorskip("torch")
    missing = {name for name in public(torch.nn, inspect.isclass) if not hasattr(nn, name)}
    assert missing == LEFT_OUT.keys()
    functions = public(torch.nn.functional, lambda value: callable(value) and not inspect.isclass(value))
    assert {name for name in functions if not hasattr(nn.functional, name)} <= LEFT_OUT_FUNCTIONS.keys()
    initials = {name for name in public(torch.nn.init, inspect.isfunction) if not hasattr(nn.init, name)}
    assert all(hasattr(nn.init, f"{name}_") for name in initials)  # deprecated twins without the underscore


def test_classes_take_torchs_arguments_in_its_order_with_its_defaults() -> None:
    torch = pytest.importorskip("torch")
    shared = [name for name in public(torch.nn, inspect.isclass) if hasattr(nn, name) and name not in SIGNATURES_ELSEWHERE]
    compared = [name for name in shared if compare(getattr(nn, name), getattr(torch.nn, name), name)]
    assert len(compared) > 140


def test_functions_take_torchs_arguments_in_its_order_with_its_defaults() -> None:
    torch = pytest.importorskip("torch")
    functions = public(torch.nn.functional, inspect.isfunction)
    assert sum(compare(getattr(nn.functional, name), theirs, name) for name, theirs in functions.items() if hasattr(nn.functional, name)) > 60
    for room in ROOMS:
        ours, theirs = nn, torch.nn
        for part in room.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        for name, function in public(theirs, inspect.isfunction).items():
            if hasattr(ours, name):
                compare(getattr(ours, name), function, f"{room}.{name}")


@pytest.mark.parametrize("name", ["Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList"])
def test_methods_take_torchs_arguments(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    for method, function in public(theirs, inspect.isfunction).items():
        if hasattr(ours, method) and (name, method) != ("Sequential", "extend"):  # whose argument is called `sequential`
            compare(getattr(ours, method), function, f"{name}.{method}")


# --- device and dtype ------------------------------------------------------------------------------------------------------------------

MADE = {
    "Linear": (2, 3),
    "Bilinear": (2, 3, 4),
    "Conv2d": (2, 3, 2),
    "ConvTranspose1d": (2, 3, 2),
    "BatchNorm2d": (3,),
    "InstanceNorm1d": (3,),
    "LayerNorm": (3,),
    "RMSNorm": (3,),
    "GroupNorm": (1, 3),
    "PReLU": (),
    "LSTM": (2, 3),
    "GRUCell": (2, 3),
    "RNNCell": (2, 3),
    "Embedding": (4, 3),
    "EmbeddingBag": (4, 3),
    "MultiheadAttention": (4, 2),
    "TransformerEncoderLayer": (4, 2, 3),
    "TransformerDecoderLayer": (4, 2, 3),
    "Transformer": (4, 2, 1, 1, 3),
    "AdaptiveLogSoftmaxWithLoss": (4, 6, [2]),
    "LazyLinear": (3,),
    "LazyBatchNorm1d": (),
}
OPTIONS = {"InstanceNorm1d": {"affine": True}}


@pytest.mark.parametrize("name", MADE)
def test_layers_are_made_where_and_of_what_dtype_they_are_asked_for(name: str) -> None:
    make, options, layer_name = getattr(nn, name), OPTIONS.get(name, {}), name.removeprefix("Lazy")
    dtypes = {"float32": None, "float64": "float64", "float16": np.float16}
    for expected, dtype in dtypes.items():
        layer = make(*MADE[name], **options, device="cpu", dtype=dtype)
        assert {str(parameter.dtype) for parameter in layer.parameters()} == {expected}
    with pytest.raises(ValueError, match=f"{layer_name}: there is no device 'cuda'"):
        make(*MADE[name], **options, device="cuda")
    with pytest.raises(ValueError, match=f"{layer_name}: device must be None or 'cpu', not <class 'float'>; dtypes are given as dtype="):
        make(*MADE[name], **options, device=float)
    with pytest.raises(
        TypeError, match=f"{layer_name}: parameters have gradients, so their dtype must be a floating-point or complex one, not int32"
    ):
        make(*MADE[name], **options, dtype="int32")
