"""`ag.tape`: the recorded program as rows of plain data, and its text, against golden listings."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import textwrap
import time
import weakref

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.instruments.listing import LONGEST_PRINT, size_text


def leaf(*shape: int, dtype: type = float) -> ag.Tensor:
    return ag.tensor(np.ones(shape, dtype), requires_grad=True)


def listing(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def test_listing_of_a_small_program_is_a_wengert_list() -> None:
    w, b = leaf(2, 3), leaf(3, dtype=np.float32)
    y = ((w * 2 + b).tanh() * np.ones((2, 3))).sum(axis=0)
    assert str(ag.tape(y, params={"w": w, "b": b})) == listing("""
        %0  leaf                            (2, 3)  float64  w
        %1  leaf                            (3,)    float32  b
        %2  multiply  %0, 2                 (2, 3)  float64
        %3  add       %2, %1                (2, 3)  float64
        %4  tanh      %3                    (2, 3)  float64
        %5  multiply  %4, <float64 (2, 3)>  (2, 3)  float64
        %6  sum       %5, axis=0            (3,)    float64
        output %6; 96 B saved for backward
    """)


def test_listing_says_what_a_backward_pass_freed() -> None:
    w = leaf(2)
    y = (w * np.ones(2)).tanh().sum(axis=0)
    before = ag.tape(y)
    y.backward()
    assert str(ag.tape(y)) == listing("""
        %0  leaf             (2,)  float64
        %1  multiply  %0, _  (2,)  float64   (freed)
        %2  tanh      %1     (2,)  float64   (freed)
        %3  sum       %2     ()    float64   (freed)
        output %3; 0 B saved for backward; 3 operations freed by a backward pass; _ is a constant that the tape does not keep
    """)
    assert ag.tape(y).freed
    assert not before.freed
    assert "<float64 (2,)>" in str(before)


@pytest.mark.parametrize("make", [lambda: ag.tensor([1.0]), lambda: leaf(2).detach() * 2])
def test_listing_of_a_constant_says_that_nothing_was_recorded(make) -> None:
    tape = ag.tape(make())
    assert len(tape) == 0
    assert tape.outputs == (None,)
    assert str(tape).startswith("(nothing recorded: the output is a constant")


def test_listing_of_several_outputs_shares_their_common_rows() -> None:
    x = leaf(3)
    shared = x * x
    tape = ag.tape({"loss": shared.sum(), "norms": [shared, ag.tensor(1.0)]})
    assert [row.op for row in tape] == ["leaf", "multiply", "sum"]
    assert tape.outputs == (2, 1, None)
    assert str(tape).endswith("outputs %2, %1, a constant; 24 B saved for backward")


def test_array_saved_twice_counts_once_in_the_total_and_for_each_row_that_keeps_it() -> None:
    x = leaf(4)
    tape = ag.tape(x * x * x)
    assert [row.saved_bytes for row in tape] == [0, 32, 64]
    assert tape.saved_bytes == 64


def test_rows_are_plain_frozen_data_that_can_be_pickled() -> None:
    x = leaf(2, 2)
    row = ag.tape(x.sum(axis=1))[1]
    assert dataclasses.astuple(row) == (1, "sum", (("a", 0, "", None),), (("axis", "1"),), (2,), "float64", 16, 0, False, False, None, row.number)
    assert pickle.loads(pickle.dumps(row)) == row
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.op = "other"


def test_listing_of_a_gradient_with_create_graph_is_the_program_of_the_gradient() -> None:
    x = leaf()
    (g,) = ag.gradient([x.tanh()], [x], create_graph=True)
    tape = ag.tape(g, params={"x": x})
    assert [row.op for row in tape][:2] == ["leaf", "tanh"]
    assert all(source < row.index for row in tape for source in row.sources)
    assert ag.gradient(g, x).item() == pytest.approx(-2 * np.tanh(1) * (1 - np.tanh(1) ** 2))


def test_operation_with_several_results_has_a_row_for_itself_and_one_per_used_result() -> None:
    @ag.op(x=lambda g: next(part for part in g if part is not None))
    def halves(x):
        return x[:1], x[1:]

    _, second = halves(leaf(3))
    tape = ag.tape(second)
    assert str(tape) == listing("""
        %0  leaf          (3,)       float64
        %1  halves    %0  (1,) (2,)  float64 float64
        %2  output 1  %1  (2,)       float64
        output %2; 0 B saved for backward
    """)
    assert tape[1].nbytes == 24


def test_elements_of_a_sequence_argument_stand_in_brackets_with_constants_between() -> None:
    @ag.op(arrays=lambda g, arrays: [g[i] for i in range(len(arrays))])
    def pile(arrays, axis=0):
        return np.stack(arrays)

    x, y = leaf(2), leaf(2)
    tape = ag.tape(pile([x, np.zeros(2), y]))
    assert tape[-1].arguments_text == "[%0, <float64 (2,)>, %1]"
    assert [(a.element, a.row) for a in tape[-1].arguments] == [(0, 0), (1, None), (2, 1)]


@pytest.mark.parametrize(
    ("constant", "text"),
    [
        (slice(1, None), "1:"),
        ((0, slice(None, None, 2), None, ...), "(0, ::2, None, ...)"),
        ([0, 1], "[0, 1]"),
        (np.array([True, False, True]), "<bool (3,)>"),
        (np.float32(2.5), "2.5"),
    ],
)
def test_constants_are_listed_in_short(constant, text) -> None:
    @ag.op(x=lambda g, what: g)
    def keep(x, what):
        return x.copy()

    assert ag.tape(keep(leaf(3), constant))[-1].arguments_text == f"%0, {text}"


def test_names_come_from_a_dict_a_module_or_a_dict_of_modules() -> None:
    class Module:
        def __init__(self) -> None:
            self.weight = leaf(2)

        def named_parameters(self):
            yield "weight", self.weight

    module, scale = Module(), leaf(2)
    y = module.weight * scale
    assert [row.name for row in ag.tape(y, params=module)] == ["weight", None, None]
    assert [row.name for row in ag.tape(y, params={"net": module, "scale": scale, "y": y})] == ["net.weight", "scale", "y"]
    with pytest.raises(TypeError, match=r"named_parameters\(\), not int"):
        ag.tape(y, params=3)
    with pytest.raises(TypeError, match="'w' must be a Tensor or a module, not ndarray"):
        ag.tape(y, params={"w": np.ones(2)})


def test_output_that_is_no_tensor_is_refused_by_type() -> None:
    with pytest.raises(TypeError, match=r"an output must be a Tensor .* not ndarray"):
        ag.tape(np.ones(2))


def test_listing_neither_keeps_the_tape_alive_nor_changes_it() -> None:
    constant = np.ones(1000)
    alive = weakref.ref(constant)
    x = leaf(1000)
    y = (x * constant).sum()
    del constant
    gc.disable()
    try:
        tape = ag.tape(y, params={"x": x})
        assert str(ag.tape(y, params={"x": x})) == str(tape)
        y.backward(retain_graph=True)
        assert x.grad.tolist() == [1.0] * 1000
        del y
        assert alive() is None
    finally:
        gc.enable()
    assert len(tape) == 3


def test_long_chain_is_listed_in_linear_time_and_printed_with_its_middle_left_out() -> None:
    x = leaf()
    for _ in range(50_000):
        x = x * 0.99
    started = time.process_time()
    tape = ag.tape(x)
    assert len(tape) == 50_001
    text = str(tape)
    assert time.process_time() - started < 5
    assert text.count("\n") == LONGEST_PRINT + 1
    assert "... 48001 rows more ..." in text
    assert tape.text().count("\n") == 50_001
    assert repr(tape) == "<tape of 1 leaf and 50000 operations>"


def test_sizes_are_written_with_the_unit_that_fits() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 10**6, 5 * 2**30)] == ["0 B", "1023 B", "1.0 KiB", "976.6 KiB", "5.0 GiB"]
