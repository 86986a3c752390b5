"""Mini-batches: coverage, order, schedules, and going on in the middle of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nn


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_gives_every_sample_once_with_arrays_in_step(shuffle: bool, drop_last: bool) -> None:
    x, y = np.arange(10), np.arange(10) * 10
    loader = nn.batches(x, y, batch_size=3, shuffle=shuffle, seed=0, drop_last=drop_last)
    parts = list(loader)
    assert len(parts) == len(loader) == (3 if drop_last else 4)
    seen = np.concatenate([a for a, _ in parts])
    assert all((b == 10 * a).all() for a, b in parts)
    assert len(set(seen.tolist())) == len(seen) == (9 if drop_last else 10)
    assert (sorted(seen) == seen.tolist()) is not shuffle or drop_last


def test_each_epoch_has_a_new_order_and_a_seed_repeats_them_all() -> None:
    def run() -> list[list[int]]:
        loader = nn.batches(np.arange(20), batch_size=20, shuffle=True, seed=4)
        return [next(iter(loader)).tolist() for _ in range(3)]

    assert run() == run()
    assert len(set(map(tuple, run()))) == 3


def test_the_batch_size_may_be_a_schedule_of_the_number_of_batches() -> None:
    loader = nn.batches(np.arange(10), batch_size=lambda step: 1 + step)
    assert [len(part) for part in loader] == [1, 2, 3, 4]
    assert [len(part) for part in loader] == [5, 5]
    assert len(loader) == 2


def test_a_saved_iteration_goes_on_with_the_batches_that_would_have_come() -> None:
    def make() -> nn.Batches:
        return nn.batches(np.arange(12), batch_size=4, shuffle=True, seed=1)

    whole = make()
    expected = [part.tolist() for _ in range(3) for part in whole]
    for stop in range(1, 9):
        first, got = make(), []
        state: dict[str, Any] = {}
        for _ in range(3):
            for part in first:
                got.append(part.tolist())
                if len(got) == stop:
                    state = first.state_dict()
                    break
            if state:
                break
        second = make()
        second.load_state_dict(state)
        while len(got) < len(expected):
            got.extend(part.tolist() for part in second)
        assert got == expected


def test_an_epoch_that_was_left_early_does_not_go_on_unasked() -> None:
    loader = nn.batches(np.arange(4), batch_size=2)
    next(iter(loader))
    assert [part.tolist() for part in loader] == [[0, 1], [2, 3]]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="different lengths, 3, 4"):
        nn.batches(np.arange(3), np.arange(4))
    with pytest.raises(TypeError, match="at least one array"):
        nn.batches()
    for size in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="batch_size must be an integer >= 1"):
            nn.batches(np.arange(3), batch_size=size)  # type: ignore[arg-type]
    loader = nn.batches(np.arange(6), batch_size=2, shuffle=True, seed=0)
    next(iter(loader))
    with pytest.raises(ValueError, match="the saved order is of 6 samples"):
        nn.batches(np.arange(5)).load_state_dict(loader.state_dict())


def test_two_iterations_at_once_give_each_sample_once_and_do_not_disturb_each_other() -> None:
    def make() -> nn.Batches:
        return nn.batches(np.arange(6), batch_size=2, shuffle=True, seed=0)

    first, second = ([part.tolist() for part in epoch] for loader in [make()] for epoch in (loader, loader))
    pairs = [(a.tolist(), b.tolist()) for loader in [make()] for a, b in zip(loader, loader, strict=True)]
    assert [list(parts) for parts in zip(*pairs, strict=True)] == [first, second]
    loader = make()
    table = [sorted(x for part in loader for x in part.tolist()) for _ in loader]
    assert table == [[0, 1, 2, 3, 4, 5]] * 3


def test_the_state_is_of_the_iteration_that_was_begun_last() -> None:
    loader = nn.batches(np.arange(6), batch_size=2, shuffle=True, seed=0)
    older = iter(loader)
    next(older)
    newer = iter(loader)
    next(newer)
    next(older)
    state = loader.state_dict()
    other = nn.batches(np.arange(6), batch_size=2, shuffle=True, seed=0)
    other.load_state_dict(state)
    assert [part.tolist() for part in other] == [part.tolist() for part in newer]


def test_lists_and_ranges_are_batched_as_arrays() -> None:
    parts = list(nn.batches([1, 2, 3], range(3), batch_size=2, shuffle=True, seed=0))
    assert sorted(x for part, _ in parts for x in part.tolist()) == [1, 2, 3]
    assert all((a == b + 1).all() for a, b in parts)
    with pytest.raises(ValueError, match="a list of items of different shapes is no array"):
        nn.batches([[1], [1, 2]])


def test_a_frame_is_batched_by_place_and_not_by_label() -> None:
    class Frame:
        """Indexes by labels, as pandas does."""

        iloc = None

        def __len__(self) -> int:
            return 3

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.array([10.0, 20.0, 30.0])

        def __getitem__(self, key: object) -> None:
            raise KeyError(key)

    assert [part.tolist() for part in nn.batches(Frame(), batch_size=2)] == [[10.0, 20.0], [30.0]]


def test_batches_show_what_they_hold_and_where_they_stand() -> None:
    loader = nn.batches(np.arange(5), np.arange(5), batch_size=2, shuffle=True)
    next(iter(loader))
    assert repr(loader) == "Batches(5 samples of 2 arrays, batch_size=2, shuffle=True, drop_last=False; epoch 1, at sample 2, 1 batches given)"
