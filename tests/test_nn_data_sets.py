"""Splits, standardisation, bundled sets, augmentation, texts, and arrays that stay on disk."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import data, functional

# --- splits --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.5, 0.25, 0.25), (1.0,)])
def test_a_split_has_each_sample_once_with_arrays_in_step(fractions: tuple[float, ...], stratified: bool) -> None:
    x, y = np.arange(40), np.arange(40) % 3
    parts = data.split(x, y, fractions=fractions, seed=1, stratify=y if stratified else None)
    assert [len(part) for part, _ in parts] == [round(40 * fraction) for fraction in fractions]
    assert sorted(np.concatenate([part for part, _ in parts]).tolist()) == list(range(40))
    assert all((classes == samples % 3).all() for samples, classes in parts)


def test_the_same_seed_gives_the_same_split_and_another_one_another() -> None:
    parts = [data.split(np.arange(50), seed=seed)[1].tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


def test_a_stratified_split_keeps_the_proportions_to_the_nearest_sample(rng: np.random.Generator) -> None:
    classes = rng.permutation(np.repeat([0, 1, 2], [100, 40, 10]))
    parts = data.split(classes, fractions=(0.7, 0.1, 0.2), stratify=classes, seed=2)
    for part, fraction in zip(parts, (0.7, 0.1, 0.2), strict=True):
        for value, count in {0: 100, 1: 40, 2: 10}.items():
            assert abs(Counter(part.tolist())[value] - fraction * count) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((np.arange(3), np.arange(4)), {}), "different lengths, 3, 4"),
        (((np.arange(3),), {"fractions": (0.5, 0.2)}), r"the sum 1"),
        (((np.arange(3),), {"fractions": (1.5, -0.5)}), r"positive numbers"),
        (((np.arange(3),), {"fractions": (0.99, 0.01)}), "leave a part without any"),
        (((np.arange(3),), {"stratify": np.zeros((3, 2))}), "one class for each sample"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.split(*arguments[0], **arguments[1])


# --- standardisation -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, (0, 2), None])
def test_standardisation_is_that_of_the_training_set_however_it_is_read(axis: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    train, other = 1e6 + rng.normal(3, 2, (30, 4, 5)), rng.normal(size=(7, 4, 5))
    monkeypatch.setattr("nn.data.standardization.CHUNK", 70)  # three samples at a time, then none more
    scale = data.Standardization(train, axis=axis)
    expected = (train - train.mean(axis=axis, keepdims=True)) / train.std(axis=axis, keepdims=True)
    np.testing.assert_allclose(scale(train), expected, atol=1e-8)
    np.testing.assert_allclose(scale.inverse(scale(other)), other, atol=1e-8)
    copy = data.Standardization(other, axis=axis)
    copy.load_state_dict(scale.state_dict())
    np.testing.assert_array_equal(copy(other), scale(other))


def test_standardisation_keeps_float32_makes_it_of_integers_and_leaves_constants_at_zero() -> None:
    scale = data.Standardization(np.array([[0, 0.1], [10, 0.1], [20, 0.1]]))
    assert scale(np.ones((1, 2), np.float32)).dtype == np.float32
    assert scale(np.ones((1, 2), np.uint8)).dtype == np.float32
    np.testing.assert_allclose(scale(np.array([[10.0, 0.1]])), [[0.0, 0.0]], atol=1e-12)
    with pytest.raises(ValueError, match=r"samples have shape \(3,\), but it was measured on samples of shape \(2,\)"):
        scale(np.ones((1, 3)))
    with pytest.raises(ValueError, match="axis must have 0"):
        data.Standardization(np.ones((2, 2)), axis=1)


# --- bundled sets ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("iris", (150, 4), 3), ("wine", (178, 13), 3), ("breast_cancer", (569, 30), 2), ("digits", (1797, 64), 10), ("diabetes", (442, 10), None)],
)
def test_bundled_sets(name: str, shape: tuple[int, ...], classes: int | None) -> None:
    pytest.importorskip("sklearn")
    x, y = data.bundled(name)
    assert (x.shape, x.dtype) == (shape, np.float32)
    if classes is None:
        assert (y.shape, y.dtype) == ((shape[0], 1), np.float32)
    else:
        assert (y.dtype, sorted(set(y.tolist()))) == (np.int64, list(range(classes)))


def test_bundled_digits_as_images_and_names_that_are_not_there() -> None:
    pytest.importorskip("sklearn")
    images, _ = data.bundled("digits", images=True)
    assert images.shape == (1797, 1, 8, 8)
    assert (images.min(), images.max()) == (0, 1)
    with pytest.raises(ValueError, match="no set 'mnist'; there are iris"):
        data.bundled("mnist")
    with pytest.raises(ValueError, match="'iris' has no images"):
        data.bundled("iris", images=True)


# --- augmentation ----------------------------------------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).normal(size=(6, 2, 5, 7)).astype(np.float32)
TRANSFORMATIONS = {
    "flip": data.flip(),
    "vertical flip": data.flip(vertical=True),
    "shift": data.shift(2),
    "rotate": data.rotate(20),
    "cutout": data.cutout(3),
    "noise": data.add_noise(0.1),
    "brightness": data.brightness(0.5),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_augmentation_keeps_shape_and_dtype_changes_images_and_goes_on_from_a_state(name: str) -> None:
    augment, before = data.Augment(TRANSFORMATIONS[name], seed=3), IMAGES.copy()
    state = augment.state_dict()
    first, second = augment(IMAGES), augment(IMAGES)
    assert (first.shape, first.dtype) == (IMAGES.shape, np.float32)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(IMAGES, before)
    augment.load_state_dict(state)
    np.testing.assert_array_equal(augment(IMAGES), first)
    np.testing.assert_array_equal(augment(IMAGES), second)
    assert augment(IMAGES[:0]).shape == (0, 2, 5, 7)


def test_a_shift_moves_all_channels_of_an_image_alike_and_fills() -> None:
    shifted = data.Augment(data.shift(1, fill=9.0), seed=0)(IMAGES)
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=9.0)
    for image, source in zip(shifted, padded, strict=True):
        assert any(np.array_equal(image, source[:, top : top + 5, left : left + 7]) for top in range(3) for left in range(3))


def test_a_flip_mirrors_whole_images_about_half_of_the_time() -> None:
    many = np.repeat(IMAGES[:1], 400, axis=0)
    mirrored = np.array([np.array_equal(image, IMAGES[0, :, :, ::-1]) for image in data.Augment(data.flip(), seed=0)(many)])
    assert 150 < mirrored.sum() < 250


def test_a_rotation_by_half_a_turn_turns_everything_round(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(np.random.Generator):
        def uniform(self, low: Any = 0, high: Any = 1, size: Any = None) -> Any:
            return np.full(size, high)

    turned = data.rotate(180)(IMAGES, Half(np.random.PCG64(0)))
    np.testing.assert_allclose(turned, IMAGES[:, :, ::-1, ::-1], atol=1e-5)
    square = IMAGES[..., :5]
    np.testing.assert_allclose(data.rotate(90)(square, Half(np.random.PCG64(0))), np.rot90(square, axes=(2, 3)), atol=1e-5)


def test_cutout_covers_one_square_of_all_channels() -> None:
    covered = data.Augment(data.cutout(3, p=1.0, fill=7.0), seed=1)(IMAGES) == 7
    assert (covered[:, 0] == covered[:, 1]).all()
    for image in covered[:, 0]:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert 2 <= len(rows) <= 3
        assert image.sum() == len(rows) * len(columns)


@pytest.mark.parametrize(
    "make", [lambda: data.flip(2.0), lambda: data.shift(-1), lambda: data.rotate(200), lambda: data.cutout(0), lambda: data.add_noise(-1.0)]
)
def test_augmentations_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|expected"):
        make()
    with pytest.raises(ValueError, match=r"expected images of shape \(N, channels, height, width\), not \(3, 3\)"):
        data.Augment(data.flip())(np.ones((3, 3)))


# --- texts ---------------------------------------------------------------------------------------------------------------------------


def test_sequences_are_views_and_their_targets_are_one_token_later() -> None:
    tokens = np.arange(20)
    x, y = data.sequences(tokens, 4, stride=3)
    assert x.shape == y.shape == (6, 4)
    np.testing.assert_array_equal(y, x + 1)
    assert x[:, 0].tolist() == [0, 3, 6, 9, 12, 15]
    assert np.shares_memory(x, tokens)
    with pytest.raises(ValueError, match="4 tokens are too few for stretches of 4"):
        data.sequences(tokens[:4], 4)


def test_a_text_file_is_trained_on_as_bytes_without_reading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"abcd" * 200)
    tokens = data.bytes_of(path)
    x, y = data.sequences(tokens, 8)
    model = nn.Sequential(nn.Embedding(128, 8), nn.Linear(8, 128))

    def loss(logits: Any, following: Any) -> Any:
        return functional.cross_entropy(logits.reshape((-1, 128)), following.reshape(-1))

    history = nn.fit(model, (x, y), loss, optim.Adam(model.parameters(), lr=0.05), epochs=12, seed=0, progress=False)
    assert history["loss"][-1] < 0.1
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match=r"empty.txt' is empty"):
        data.bytes_of(tmp_path / "empty.txt")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        data.bytes_of(tmp_path / "none.txt")


def test_a_text_file_becomes_characters_and_back(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("häh?\nha", encoding="utf-8")
    tokens, letters = data.characters_of(path)
    assert letters.decode(tokens) == "häh?\nha"
    assert tokens.max() == len(letters) - 1 == 4
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no text in UTF-8"):
        data.characters_of(path)


# --- on disk -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_arrays_on_disk_are_what_was_written(kind: str, tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 3)).astype(np.float32)
    path = tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, x)
        opened = data.open_arrays(path)
    else:
        nn.save({"n": np.arange(3), "x": x, "none": np.empty((0, 2))}, path)
        arrays = data.open_arrays(path)
        np.testing.assert_array_equal(arrays["n"], [0, 1, 2])
        assert arrays["none"].shape == (0, 2)
        opened = arrays["x"]
    assert isinstance(opened, np.memmap)
    np.testing.assert_array_equal(opened, x)


def test_files_that_cannot_be_opened_say_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        data.open_arrays(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="save each array by itself"):
        data.open_arrays(tmp_path / "x.npz")
    for name in ("bad.npy", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"not an array")
        with pytest.raises(nn.DamagedFileError, match=name):
            data.open_arrays(tmp_path / name)


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_a_data_set_larger_than_the_memory_that_is_allowed_trains(kind: str, tmp_path: Path) -> None:
    samples, features, chunk = 4096, 2048, 256
    total = samples * features * 4  # 32 MiB
    path = tmp_path / f"large.{kind}"
    random = np.random.default_rng(0)
    if kind == "npy":
        written = np.lib.format.open_memmap(path, "w+", np.float32, (samples, features))
        for start in range(0, samples, chunk):
            written[start : start + chunk] = random.normal(5, 2, (chunk, 1)) * np.ones(features)
        del written
    else:
        nn.save({"x": 5 + 2 * random.normal(size=(samples, 1)).astype(np.float32) * np.ones(features, np.float32)}, path)
    tracemalloc.start()
    try:
        x = data.open_arrays(path)
        x = x if kind == "npy" else x["x"]
        y = (x[:, 0] > 5).astype(np.int64)
        (x_train, y_train), (x_test, y_test) = data.split(x, y, stratify=y)
        scale = data.Standardization(x_train, axis=None)
        model = nn.Linear(features, 2, generator=0)
        sets = (scale(x_train), y_train), (scale(x_test), y_test)
        history = nn.fit(
            model,
            sets[0],
            nn.CrossEntropyLoss(),
            optim.Adam(model.parameters()),
            validation=sets[1],
            metrics="accuracy",
            batch_size=32,
            progress=False,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert history["validation_accuracy"][0] > 0.9
    assert peak < 0.75 * total


def test_training_on_disk_needs_no_more_memory_for_more_samples(tmp_path: Path) -> None:
    def peak(samples: int) -> int:
        written = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (samples, 512))
        written[:] = 1.0
        del written
        x = data.open_arrays(tmp_path / "x.npy")
        model = nn.Linear(512, 512, generator=0)
        optimizer = optim.SGD(model.parameters(), lr=0.01)
        tracemalloc.start()
        try:
            nn.fit(model, x, nn.MSELoss(), optimizer, batch_size=64, progress=False)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(512), peak(8 * 512)
    assert large < small + 0.15 * (7 * 512 * 512 * 4)  # what the places of the samples need, and the losses


def test_lists_and_tensors_are_split_and_standardised_too() -> None:
    train, test = data.split([[1.0], [2.0], [3.0], [4.0]], fractions=(0.5, 0.5))
    assert train.shape == test.shape == (2, 1)
    scale = data.Standardization([[0.0], [4.0]])
    assert scale([[2.0]]).tolist() == [[0.0]]
    tensor = ag.tensor([[1.0], [2.0]])
    assert isinstance(data.split(tensor, fractions=(0.5, 0.5))[0], ag.Tensor)
    np.testing.assert_array_equal(scale(tensor).numpy(), [[-0.5], [0.0]])


def test_lazy_arrays_read_what_is_asked_for_only() -> None:
    asked: list[Any] = []

    class Watched:
        shape = (10, 2)

        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: Any) -> Any:
            asked.append(index if isinstance(index, slice) else np.asarray(index).tolist())
            return np.arange(20.0).reshape(10, 2)[index]

    lazy = data.Mapped(data.Subset(Watched(), [8, 2, 4]), lambda part: part + 1)
    assert (len(lazy), lazy.shape) == (3, (3, 2))
    np.testing.assert_array_equal(lazy[np.array([2, 0])], [[9, 10], [17, 18]])
    np.testing.assert_array_equal(lazy[-1], [9, 10])
    assert asked == [[4, 8], [4]]
    with pytest.raises(IndexError, match="places go from 0 to 10, but there are 10 samples"):
        data.Subset(Watched(), [0, 10])
    with pytest.raises(IndexError):
        lazy[3]
