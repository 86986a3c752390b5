"""`nn.fit` and its pieces: against the plain loop, against torch, killed and interrupted, and on bad data."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import functional, training

HERE = Path(__file__).parent


def two_classes(samples: int = 48, seed: int = 0) -> tuple[Any, Any]:
    x = np.random.default_rng(seed).normal(size=(samples, 4)).astype(np.float32)
    return x, (x[:, 0] > x[:, 1]).astype(np.int64)


def small_model(seed: int = 0, dtype: Any = np.float32) -> nn.Module:
    return nn.MLP(4, 8, 2, generator=seed, dtype=dtype)


def weights(model: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


# --- the loop ------------------------------------------------------------------------------------------------------------------------


def test_fit_computes_what_the_plain_loop_computes_bit_by_bit() -> None:
    x, y = two_classes()
    fitted, plain = small_model(), small_model()
    optimizer = optim.Adam(plain.parameters(), lr=0.01)
    losses = []
    batches = nn.batches(x, y, batch_size=10, shuffle=True, seed=3)
    for _ in range(3):
        for images, classes in batches:
            optimizer.zero_grad()
            loss = functional.cross_entropy(plain(ag.tensor(images)), classes)
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
    history = nn.fit(
        fitted, (x, y), functional.cross_entropy, optim.Adam(fitted.parameters(), lr=0.01), epochs=3, batch_size=10, seed=3, clip=0.5, progress=False
    )
    assert history.losses == losses
    assert weights(fitted) == weights(plain)
    assert history.ends == [5, 10, 15]


def test_the_loss_and_metrics_of_an_epoch_are_means_over_its_samples() -> None:
    x, y = two_classes(50)
    model = small_model()
    frozen = optim.SGD(model.parameters(), lr=0.0)
    history = nn.fit(model, (x, y), nn.CrossEntropyLoss(), frozen, metrics="accuracy", validation=(x, y), batch_size=16, progress=False)
    whole = training.evaluate(model, (x, y), nn.CrossEntropyLoss(), "accuracy")
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(history[name], [whole[name]], rtol=1e-6)
        np.testing.assert_allclose(history[f"validation_{name}"], [whole[name]], rtol=1e-6)


def test_accumulated_batches_are_one_larger_batch() -> None:
    x, y = two_classes(44)
    whole, parts = small_model(dtype=np.float64), small_model(dtype=np.float64)
    for model, batch_size, accumulate in ((whole, 16, 1), (parts, 4, 4)):  # the last step has 12 samples, and 3 batches
        history = nn.fit(
            model,
            (x, y),
            nn.CrossEntropyLoss(),
            optim.SGD(model.parameters(), lr=0.1),
            epochs=2,
            batch_size=batch_size,
            seed=0,
            accumulate=accumulate,
            progress=False,
        )
        assert len(history.losses) == 6
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-12, atol=1e-14)


def test_a_batch_of_one_array_is_input_and_target_also_after_augmentation() -> None:
    x = two_classes()[0]
    seen = []

    def loss(prediction: Any, target: Any) -> Any:
        seen.append(target.numpy())
        return functional.mse_loss(prediction, target)

    model = nn.Linear(4, 4)
    nn.fit(model, x, loss, optim.SGD(model.parameters(), lr=0.1), batch_size=48, shuffle=False, augment=lambda images: images + 1, progress=False)
    np.testing.assert_array_equal(seen[0], x + 1)


def test_several_inputs_and_several_targets() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            self.scale = nn.Parameter(np.ones(1))

        def forward(self, a: Any, b: Any) -> Any:
            return self.scale * (a + b)

    model, ones = Sum(), np.ones((6, 1))
    history = nn.fit(
        model,
        (ones, 2 * ones, 4 * ones, 0.5 * ones),
        lambda prediction, target, weight: (weight * (prediction - target) ** 2).mean(),
        optim.SGD(model.parameters(), lr=0.0),
        targets=2,
        progress=False,
    )
    assert history["loss"] == [0.5]


def test_an_optimizer_that_evaluates_the_loss_by_itself() -> None:
    x = np.linspace(-1, 1, 20)[:, None]
    model = nn.Linear(1, 1, dtype=np.float64, generator=0)
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    history = nn.fit(model, (x, 3 * x + 1), nn.MSELoss(), optimizer, epochs=8, batch_size=20, progress=False)
    assert history["loss"][-1] < 1e-12
    np.testing.assert_allclose([p.item() for p in model.parameters()], [3, 1], atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda inner, model: inner, lambda inner, model: optim.Switch(optim.Adam(model.parameters()), inner, at=2)])
def test_an_optimizer_that_differentiates_the_loss_by_itself_gets_the_loss_alone(wrap: Any) -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    model = nn.MLP(1, 6, 1, generator=0)
    optimizer = wrap(optim.NewtonCG(model.parameters(), damping=1e-3, max_iter=10), model)
    history = nn.fit(model, (x, x**2), nn.MSELoss(), optimizer, epochs=6, batch_size=40, seed=0, progress=False)
    assert history["loss"][-1] < history["loss"][0] / 5


def test_a_closure_that_the_loop_cannot_give_is_refused() -> None:
    model, data = nn.MLP(1, 3, 1, generator=0), (np.ones((4, 1)), np.ones((4, 1)))
    with pytest.raises(TypeError, match="GaussNewton wants the model's outputs, of which it computes the loss by itself"):
        nn.fit(model, data, nn.MSELoss(), optim.GaussNewton(model.parameters(), lambda out: (out**2).mean()), progress=False)
    with pytest.raises(ValueError, match="NewtonCG differentiates the loss by itself: there are no gradients to clip"):
        nn.fit(model, data, nn.MSELoss(), optim.NewtonCG(model.parameters()), clip=1.0, progress=False)


def test_layers_that_were_frozen_in_evaluation_stay_so() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[1].eval()
    before = model[1].running_mean.numpy().copy()
    nn.fit(model, two_classes(), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), validation=two_classes(), progress=False)
    np.testing.assert_array_equal(model[1].running_mean.numpy(), before)
    assert [module.training for module in model] == [True, False, True]


# --- schedules, averages, precision ----------------------------------------------------------------------------------------------


def test_schedules_of_learning_rate_weight_decay_and_batch_size() -> None:
    x, y = two_classes()
    model = small_model()
    optimizer = optim.AdamW(model.parameters(), lr=1.0)
    seen: list[tuple[float, float]] = []

    class Look(training.Callback):
        def step(self, run: Any) -> None:
            seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]))

    schedules: dict[str, Any] = {"lr": optim.Exponential(0.1, 0.5), "weight_decay": lambda step: 0.01 * step}
    history = nn.fit(
        model, (x, y), nn.CrossEntropyLoss(), optimizer, schedules=schedules, batch_size=lambda step: 8 * 2**step, callbacks=Look(), progress=False
    )
    assert seen == [(0.1 * 0.5**step, 0.01 * step) for step in range(3)]
    assert len(history.losses) == 3  # of 8, 16 and 24 samples


@pytest.mark.parametrize(("every", "expected"), [("epoch", 0.25), ("step", 0.5**6)])
def test_a_scheduler_is_stepped_every_epoch_or_every_step(every: str, expected: float) -> None:
    model = small_model()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    nn.fit(
        model, two_classes(), nn.CrossEntropyLoss(), optimizer, epochs=2, batch_size=16, scheduler=scheduler, scheduler_every=every, progress=False
    )
    assert optimizer.param_groups[0]["lr"] == expected


@pytest.mark.parametrize("kind", ["object", "schedule"])
def test_schedulers_that_want_a_metric_get_the_validation_loss(kind: str) -> None:
    model = small_model()
    lr: Any = optim.Plateau(0.0, factor=0.5, patience=0) if kind == "schedule" else 0.0
    optimizer = optim.SGD(model.parameters(), lr=lr)
    scheduler: Any = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0) if kind == "object" else None
    history = nn.fit(
        model, two_classes(), nn.CrossEntropyLoss(), optimizer, epochs=3, scheduler=scheduler, validation=two_classes(seed=1), progress=False
    )
    best = scheduler.plateaus[0].best if kind == "object" else lr.best
    assert best == history["validation_loss"][0] != history["loss"][0]


def test_the_average_is_what_is_validated_and_the_weights_stay() -> None:
    model = small_model()
    average = optim.WeightAverage(model.parameters(), decay=0.5)
    data = two_classes()
    history = nn.fit(model, data, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=1.0), average=average, validation=data, progress=False)
    own = training.evaluate(model, data, nn.CrossEntropyLoss())["loss"]
    with average.applied():
        averaged = training.evaluate(model, data, nn.CrossEntropyLoss())["loss"]
    assert history["validation_loss"] == [averaged]
    assert averaged != own


def test_mixed_precision_computes_in_float16_and_learns_with_float32_weights() -> None:
    seen = set()

    class Look(nn.Module):
        def forward(self, x: Any) -> Any:
            seen.add(x.dtype)
            return x

    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), Look(), nn.ReLU(), nn.Dropout(0.1), Look(), nn.Linear(16, 2))
    history = nn.fit(
        model, two_classes(200), nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01), epochs=15, precision="mixed", seed=0, progress=False
    )
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert seen == {np.dtype(np.float16)}
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", ["layers", "a table that two layers share", "recurrent"])
def test_gradients_in_half_precision_are_those_in_float32_to_three_digits(kind: str) -> None:
    if kind == "layers":
        model: nn.Module = nn.MLP(6, 20, 20, 3, generator=0)
        x: Any = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    elif kind == "recurrent":
        nn.manual_seed(0)
        model, x = nn.models.GRUClassifier(4, 8, 3), np.random.default_rng(0).normal(size=(10, 5, 4)).astype(np.float32)
    else:
        model, x = nn.models.GPT(9, 6, 2, 2, 8, generator=0), np.random.default_rng(0).integers(0, 9, (4, 6))
    found = []
    for call in (model, lambda inputs: training.in_half_precision(model, inputs)):
        model.zero_grad()
        (1024 * (call(x) ** 2).mean()).backward()
        found.append({name: p.grad.data for name, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys() == dict(model.named_parameters()).keys()
    for name, gradient in found[0].items():
        assert found[1][name].dtype == np.float32
        np.testing.assert_allclose(found[1][name], gradient, atol=0.01 * np.abs(gradient).max(), err_msg=name)


def test_mixed_precision_skips_a_step_that_overflows_and_halves_the_factor() -> None:
    scaler = training.LossScaler(init_scale=2.0**40)
    model = small_model()
    before = weights(model)
    nn.fit(model, two_classes(32), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), precision=scaler, progress=False)
    assert scaler.get_scale() == 2.0**39
    assert scaler.skipped_steps == 1
    assert weights(model) == before


def test_mixed_precision_gives_up_when_the_loss_itself_overflows_again_and_again() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2))
    for p in model.parameters():
        p.data[...] = 3e4
    with pytest.raises(training.NonFiniteError, match="the forward pass made the first"):
        nn.fit(model, two_classes(), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), epochs=50, precision="mixed", progress=False)


def test_small_gradients_survive_float16_by_scaling() -> None:
    def gradient(scale: float) -> float:
        model = nn.Linear(1, 1, bias=False)
        model.weight.data[...] = 1.0
        scaler = training.LossScaler(scale)
        loss = 1e-9 * training.in_half_precision(model, ag.tensor(np.ones((1, 1), np.float32))).sum()
        scaler.scale(loss).backward()
        assert scaler.unscale_(optim.SGD(model.parameters(), lr=1.0))
        return float(model.weight.grad.item())

    assert gradient(1.0) == 0
    np.testing.assert_allclose(gradient(2.0**16), 1e-9, rtol=1e-3)


def test_the_loss_scaler_grows_and_backs_off_as_torchs() -> None:
    torch = pytest.importorskip("torch")
    ours = training.LossScaler(8.0, growth_interval=2)
    theirs = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    p, q = ag.tensor(np.ones(2), requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer, other = optim.SGD([p], lr=0.1), torch.optim.SGD([q], lr=0.1)
    for factor in (1.0, 1.0, 1.0, math.inf, 1.0, 1.0):
        optimizer.zero_grad()
        other.zero_grad()
        ours.scale((p * factor).sum()).backward()
        theirs.scale((q * factor).sum()).backward()
        ours.step(optimizer)
        theirs.step(other)
        ours.update()
        theirs.update()
        assert ours.get_scale() == theirs.get_scale()
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-6)


# --- early stopping ----------------------------------------------------------------------------------------------------------------


def test_early_stopping_gives_back_the_weights_of_the_best_epoch() -> None:
    model, kept = small_model(), []
    stopping = training.EarlyStopping(patience=2)
    numbers = iter([3.0, 1.0, 2.0, 1.5, 0.0])
    history = nn.fit(
        model,
        two_classes(),
        nn.CrossEntropyLoss(),
        optim.SGD(model.parameters(), lr=0.5),
        epochs=9,
        validation=two_classes(seed=1),
        callbacks=[lambda run: run.history.last.update(validation_loss=next(numbers)), lambda run: kept.append(weights(run.model)), stopping],
        progress=False,
    )
    assert history.epochs == 4
    assert (stopping.best, stopping.best_epoch) == (1.0, 2)
    assert weights(model) == kept[1] != kept[3]


def test_early_stopping_watches_accuracy_upwards_and_never_takes_nan_for_good() -> None:
    stopping = training.EarlyStopping(patience=3, monitor="validation_accuracy", min_delta=0.1)
    assert [stopping.update(value) for value in (math.nan, 0.5, 0.55, 0.7, math.nan, 0.75, 0.6)] == [False] * 6 + [True]
    assert stopping.best == 0.7


def test_early_stopping_names_what_it_could_watch() -> None:
    model = small_model()
    with pytest.raises(KeyError, match=r"monitor='f1' is no number of the history; there are loss"):
        nn.fit(
            model,
            two_classes(),
            nn.CrossEntropyLoss(),
            optim.SGD(model.parameters(), lr=0.1),
            callbacks=training.EarlyStopping(monitor="f1"),
            progress=False,
        )


# --- checkpoints -------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_run_that_is_killed_at_random_moments_ends_as_if_it_had_not_been() -> None:
    program = [sys.executable, str(HERE / "killed_training.py"), "--kills", "12", "--epochs", "3"]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = json.loads(done.stdout)
    assert found["kills"] >= 12
    assert found["while writing"] >= 6
    assert found["runs"] >= 2  # in float32 and in mixed precision
    assert found["different"] == 0
    assert found["left over"] == []


def test_resuming_from_every_step_gives_the_same_run(tmp_path: Path) -> None:
    def run(epochs: int, stop_after: int | None = None) -> tuple[Any, bytes]:
        model = nn.Sequential(nn.Linear(4, 8, generator=0), nn.Dropout(0.5), nn.Linear(8, 2, generator=1))
        nn.manual_seed(7)

        class Stop(training.Callback):
            def step(self, run: Any) -> None:
                if run.steps - 1 == stop_after:  # the checkpoint of the step before is there
                    raise InterruptedError

        options: dict[str, Any] = {"checkpoint": tmp_path / "run.safetensors", "checkpoint_every": 1, "resume": True}
        history = nn.fit(
            model,
            two_classes(20),
            nn.CrossEntropyLoss(),
            optim.Adam(model.parameters()),
            epochs=epochs,
            batch_size=8,
            seed=2,
            callbacks=Stop(),
            progress=False,
            **options,
        )
        return history.losses, weights(model)

    expected = run(3)
    for step in range(1, 9):
        (tmp_path / "run.safetensors").unlink()
        with pytest.raises(InterruptedError):
            run(3, step)
        assert run(3) == expected
    assert run(3) == expected  # a run that is complete has nothing left to do
    longer = run(4)
    assert longer[0][:9] == expected[0]
    assert len(longer[0]) == 12


def test_a_run_that_has_stopped_early_is_over_when_it_is_resumed(tmp_path: Path) -> None:
    def run() -> tuple[list[float], bytes]:
        model, data = small_model(), two_classes(20)
        history = nn.fit(
            model,
            data,
            nn.CrossEntropyLoss(),
            optim.SGD(model.parameters(), lr=8.0),
            epochs=40,
            validation=two_classes(60, seed=1),
            callbacks=training.EarlyStopping(patience=2),
            seed=0,
            checkpoint=tmp_path / "run.safetensors",
            resume=True,
            progress=False,
        )
        return history.losses, weights(model)

    first = run()
    assert 3 <= len(first[0]) < 40
    assert run() == first


def test_the_global_generators_of_numpy_and_python_are_saved_too(tmp_path: Path) -> None:
    generators = training.Generators(own=np.random.default_rng(1))
    nn.save_checkpoint(tmp_path / "g.safetensors", generators=generators)

    def drawn() -> list[float]:
        return [np.random.random(), np.random.normal(), random.random(), generators.generators["own"].random(), nn.init.default_generator.random()]

    expected = drawn()
    nn.load_checkpoint(tmp_path / "g.safetensors", generators=generators)
    assert drawn() == expected


# --- interrupts --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("presses", "epochs", "steps"), [(1, 2, 6), (2, 1, 4)])
def test_ctrl_c_completes_the_epoch_and_a_second_one_the_step(presses: int, epochs: int, steps: int, tmp_path: Path) -> None:
    def run(pressing: bool) -> tuple[Any, bytes]:
        model = small_model()

        class Press(training.Callback):
            def step(self, run: Any) -> None:
                if pressing and run.steps == 4:
                    for _ in range(presses):
                        signal.raise_signal(signal.SIGINT)

        optimizer = optim.Adam(model.parameters())
        options: dict[str, Any] = {"checkpoint": tmp_path / f"{pressing}.safetensors", "resume": True}
        history = nn.fit(
            model, two_classes(), nn.CrossEntropyLoss(), optimizer, epochs=3, batch_size=16, seed=0, callbacks=Press(), progress=False, **options
        )
        return history, weights(model)

    history, _ = run(True)
    assert (history.interrupted, history.epochs, len(history.losses)) == (True, epochs, steps)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    os.rename(tmp_path / "True.safetensors", tmp_path / "later.safetensors")
    expected = run(False)[1]
    os.replace(tmp_path / "later.safetensors", tmp_path / "False.safetensors")
    assert run(False)[1] == expected


def test_the_third_ctrl_c_is_raised() -> None:
    with training.Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interrupts.count == 3


# --- nan ---------------------------------------------------------------------------------------------------------------------------


def test_nan_in_the_data_stops_the_run_and_names_the_sample_and_the_layer() -> None:
    x, y = two_classes()
    x[17, 2] = np.nan
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    with pytest.raises(training.NonFiniteError) as stopped:
        nn.fit(model, (x, y), nn.CrossEntropyLoss(), optim.Adam(model.parameters()), batch_size=8, seed=0, progress=False)
    message = str(stopped.value)
    assert "which is sample 17 of the data" in message
    assert "holds nan" in message
    assert "linear" in message
    assert "(in Sequential.0)" in message
    assert all(np.isfinite(value.data).all() for value in (*model.parameters(), *model.buffers()))


def test_a_nan_that_the_model_makes_is_found_where_it_is_made() -> None:
    class Log(nn.Module):
        def forward(self, x: Any) -> Any:
            return np.log(x)

    model = nn.Sequential(nn.Linear(4, 2), Log())
    with pytest.raises(training.NonFiniteError, match=r"(?s)log.*test_nn_fit.py.*np.log\(x\)") as stopped, np.errstate(all="ignore"):
        nn.fit(model, two_classes(), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    assert stopped.value.anomaly is not None
    assert stopped.value.anomaly.op == "log"


def test_a_gradient_that_is_not_finite_is_explained_too() -> None:
    class Root(nn.Module):
        def forward(self, x: Any) -> Any:
            return np.sqrt(0 * x)

    model = nn.Sequential(nn.Linear(4, 2), Root())
    with pytest.raises(training.NonFiniteError, match=r"sqrt: the backward pass made the first"), np.errstate(all="ignore"):
        nn.fit(model, two_classes(), lambda p, _: p.sum(), optim.SGD(model.parameters(), lr=0.1), progress=False)


def test_nan_that_the_model_masks_is_no_reason_to_stop() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.inner(np.where(np.isnan(x), 0.0, x))

    x, y = two_classes()
    x[3, 1] = np.nan
    model = Masked()
    history = nn.fit(model, (x, y), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    assert math.isfinite(history["loss"][0])


# --- bad input ---------------------------------------------------------------------------------------------------------------------


def bad_inputs() -> Iterator[Any]:
    x, y = two_classes()
    usual: dict[str, Any] = {"data": (x, y), "loss": nn.CrossEntropyLoss(), "epochs": 1}
    yield pytest.param({**usual, "data": (x[:, :3], y)}, ValueError, r"^in 0 \(Linear\) of MLP: .*\(32, 3\).*\(8, 4\)", id="features")
    yield pytest.param({**usual, "data": [1.0, 2.0]}, TypeError, "a list of numbers is no data", id="list")
    yield pytest.param({**usual, "data": iter([(x, y)])}, TypeError, "can be iterated over once only", id="iterator")
    yield pytest.param({**usual, "data": (x, y[:-1])}, ValueError, "different lengths, 48, 47", id="lengths")
    yield pytest.param({**usual, "data": (x[:0], y[:0])}, ValueError, "the data has no batch", id="empty")
    yield pytest.param({**usual, "loss": nn.CrossEntropyLoss}, TypeError, "loss must be a function", id="class")
    yield pytest.param({**usual, "loss": lambda p, t: p}, TypeError, r"one number.*shape \(32, 2\)", id="vector")
    yield pytest.param({**usual, "loss": lambda p, t: ag.tensor(1.0)}, TypeError, "does not depend on any parameter", id="constant")
    yield pytest.param({**usual, "epochs": -1}, ValueError, "epochs must be an integer >= 0", id="epochs")
    yield pytest.param({**usual, "accumulate": 0}, ValueError, "accumulate must be an integer >= 1", id="accumulate")
    yield pytest.param({**usual, "metrics": "beauty"}, ValueError, "'beauty' is unknown; there are accuracy", id="metric")
    yield pytest.param({**usual, "callbacks": 3}, TypeError, "callbacks: expected", id="callback")
    yield pytest.param({**usual, "precision": "int8"}, ValueError, "precision must be", id="precision")
    yield pytest.param({**usual, "schedules": {"rate": lambda step: 1.0}}, KeyError, "has no 'rate'; it has lr", id="schedule")
    yield pytest.param({**usual, "schedules": {"lr": 1.0}}, TypeError, "lr must be a function of the step", id="number as schedule")
    yield pytest.param({**usual, "resume": True}, ValueError, "resume=True and checkpoint_every need checkpoint=", id="resume")
    yield pytest.param({**usual, "checkpoint": "c.safetensors", "checkpoint_every": 0}, ValueError, "checkpoint_every must be", id="every")
    yield pytest.param({**usual, "checkpoint": "nowhere/c.safetensors"}, FileNotFoundError, "there is no folder 'nowhere'", id="folder")
    yield pytest.param({**usual, "validation": (x[:0], y[:0])}, ValueError, "the data has no batch", id="empty validation")
    yield pytest.param({**usual, "data": [(x, y)], "checkpoint": "c.safetensors"}, TypeError, "a list has no state_dict", id="checkpoint")
    yield pytest.param({**usual, "targets": 2}, ValueError, "nothing is left for the model", id="targets")


@pytest.mark.parametrize(("arguments", "error", "message"), list(bad_inputs()))
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    model = small_model()
    with pytest.raises(error, match=f"(?s){message}"):
        nn.fit(model, arguments.pop("data"), arguments.pop("loss"), optim.SGD(model.parameters(), lr=0.1), progress=False, **arguments)


def test_an_optimizer_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="the optimizer has none of the model's parameters"):
        nn.fit(small_model(), two_classes(), nn.CrossEntropyLoss(), optim.SGD(small_model().parameters(), lr=0.1))


@pytest.mark.parametrize("arguments", [{"precision": "mixed"}, {"accumulate": 2}])
def test_an_optimizer_that_evaluates_the_loss_by_itself_cannot_do_everything(arguments: dict[str, Any]) -> None:
    model = small_model()
    with pytest.raises(ValueError, match="LBFGS evaluates the loss by itself"):
        nn.fit(model, two_classes(), nn.CrossEntropyLoss(), optim.LBFGS(model.parameters()), **arguments)


def test_labels_out_of_range_are_refused_by_the_loss() -> None:
    x, y = two_classes()
    model = small_model()
    with pytest.raises((ValueError, IndexError), match="class"):
        nn.fit(model, (x, y + 2), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)


# --- progress and plots --------------------------------------------------------------------------------------------------------------


def test_the_progress_bar_shows_epoch_loss_and_metrics(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    model = small_model()
    data = two_classes()
    nn.fit(model, data, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), epochs=2, metrics="accuracy", validation=data, progress=True)
    shown = capfd.readouterr().err
    assert "4/4" in shown
    assert "epoch 2/2, loss" in shown
    assert "validation accuracy" in shown


@pytest.mark.parametrize("library", ["tqdm", "matplotlib"])
def test_a_library_that_is_missing_is_named_with_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    find = "importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None)
    act = (lambda: training.Progress(True)) if library == "tqdm" else training.History().plot
    with pytest.raises(ModuleNotFoundError, match=rf'{library}: pip install "autograd-core\['):
        act()
    training.Progress(None).step("silent", {})


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    model, flow = small_model(), training.GradientFlow(every=1)
    data = two_classes()
    history = nn.fit(
        model,
        data,
        nn.CrossEntropyLoss(),
        optim.SGD(model.parameters(), lr=0.1),
        epochs=3,
        metrics="accuracy",
        validation=data,
        callbacks=flow,
        progress=False,
    )
    left, right = history.plot().axes
    assert [line.get_label().split(" (")[0] for line in left.lines] == ["each step", "training", "validation"]
    np.testing.assert_array_equal(right.lines[1].get_ydata(), history["validation_accuracy"])
    assert len(flow.plot().axes) == 5
    pyplot.close("all")


def deep(activation: Any, gain: float) -> nn.Sequential:
    random = np.random.default_rng(0)
    layers: list[nn.Module] = []
    for _ in range(12):
        linear = nn.Linear(16, 16, generator=random)
        nn.init.normal_(linear.weight, 0, gain / 4, random)
        layers += [linear, activation()]
    return nn.Sequential(*layers, nn.Linear(16, 2, generator=random))


@pytest.mark.parametrize(
    ("activation", "gain", "expected"), [(nn.Sigmoid, 1.0, "vanishing"), (nn.Identity, 4.0, "exploding"), (nn.ReLU, math.sqrt(2), "fine")]
)
def test_vanishing_and_exploding_gradients_are_told(activation: Any, gain: float, expected: str) -> None:
    model, flow = deep(activation, gain), training.GradientFlow(every=2)
    x = np.random.default_rng(0).normal(size=(40, 16))
    y = np.arange(40) % 2
    nn.fit(model, (x, y), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.0), batch_size=8, callbacks=flow, progress=False)
    assert flow.looks == [0, 2, 4]
    assert flow.diagnosis()["0"] == expected
    assert flow.diagnosis()["24"] == ("exploding" if expected == "exploding" else "fine")
    assert not model[1]._hooks


def test_the_pieces_serve_in_a_loop_of_ones_own() -> None:
    model, (x, y) = small_model(), two_classes()
    fitted = small_model()
    optimizer = optim.Adam(model.parameters(), lr=1.0)
    rates, flow = training.Hyperparameters(optimizer, {"lr": lambda step: 0.1 / (1 + step)}), training.GradientFlow(every=2)
    flow.watch(model)
    stopping = training.EarlyStopping(patience=5)
    step = 0
    with training.Interrupts() as interrupts:
        for _ in range(2):
            for images, classes in nn.batches(x, y, batch_size=16):
                rates.set(step)
                optimizer.zero_grad()
                functional.cross_entropy(model(ag.tensor(images)), classes).backward()
                flow.before_step()
                optimizer.step()
                flow.after_step()
                step += 1
            stopping.update(training.evaluate(model, (x, y), functional.cross_entropy)["loss"], model)
    stopping.restore(model)
    flow.unwatch()
    seen = training.GradientFlow(every=2)
    other = optim.Adam(fitted.parameters(), lr=1.0)
    nn.fit(
        fitted,
        (x, y),
        functional.cross_entropy,
        other,
        epochs=2,
        batch_size=16,
        shuffle=False,
        validation=(x, y),
        schedules={"lr": lambda step: 0.1 / (1 + step)},
        callbacks=[seen, training.EarlyStopping(patience=5)],
        progress=False,
    )
    assert interrupts.count == 0
    assert weights(model) == weights(fitted)
    assert (flow.norms, flow.ratios, flow.dead) == (seen.norms, seen.ratios, seen.dead)


def test_dead_units_and_update_ratios_are_told() -> None:
    model = nn.Sequential(nn.Linear(4, 8, generator=0), nn.ReLU(), nn.Linear(8, 2, generator=0))
    model[0].bias.data[:6] = -100.0
    flow = training.GradientFlow(every=1)
    before = model[2].weight.data.copy(), model[2].bias.data.copy()
    nn.fit(model, two_classes(), nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), batch_size=48, callbacks=flow, progress=False)
    assert flow.dead["1"] == [pytest.approx(0.75, abs=0.13)]
    assert flow.dead["1"][0] >= 0.75
    assert flow.diagnosis()["1"] == "dead"
    moved = math.hypot(np.linalg.norm(model[2].weight.data - before[0]), np.linalg.norm(model[2].bias.data - before[1]))
    assert flow.ratios["2"][0] == pytest.approx(moved / math.hypot(np.linalg.norm(before[0]), np.linalg.norm(before[1])), rel=1e-5)
    assert flow.ratios["2"][0] == pytest.approx(0.1 * flow.norms["2"][0] / math.hypot(*map(np.linalg.norm, before)), rel=1e-4)
