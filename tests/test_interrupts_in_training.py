"""An interrupt at any line of a step, or of the loading of a state, leaves it done or not begun: never half of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupts import OURS, ROOT, Interrupt, every_interrupt

import autograd_core as ag
import nn
import optim
from optim import packs, parallel, transformations


def parameters(dtype: Any = np.float64) -> list[Any]:
    random = np.random.default_rng(0)
    made = [ag.tensor(random.normal(size=shape).astype(dtype), requires_grad=True) for shape in [(2, 3), (3,)]]
    for p in made:
        p.grad = ag.tensor(random.normal(size=p.shape).astype(dtype))
    return made


def content(value: Any) -> Any:
    """A state as something that `==` compares."""
    if isinstance(value, dict):
        return {key: content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [content(item) for item in value]
    if isinstance(value, ag.Tensor):
        return content(value.data)
    return (str(value.dtype), value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def seen(optimizer: Any) -> Any:
    """All that a step changes, the way it is saved."""
    return content([[p.data for p in optimizer.parameters()], optimizer.state_dict()])


OPTIM = (f"{ROOT}/optim/",)
STEPPING = tuple(f"{ROOT}/optim/{name}" for name in ("at_once", "optimizer.py", "packs", "parallel", "stepping", "wrappers/"))  # not the formulas


def is_whole(make: Callable[[], Any], run: Callable[[Any], Any], look: Callable[[Any], Any] = seen, folders: tuple[str, ...] = OPTIM) -> None:
    """Each interrupted run leaves what was before it, or what is after it."""
    subject = make()
    before = look(subject)
    run(subject)
    after = look(subject)
    assert before != after
    found = {"before": 0, "after": 0}
    modes = np.geterr(), ag.is_grad_enabled()
    for place in every_interrupt(make, run, folders):
        left = look(place.subject)
        assert (np.geterr(), ag.is_grad_enabled()) == modes, f"a mode was left changed by an interrupt at {place}"
        assert left in (before, after), f"half done by an interrupt at {place}"
        found["before" if left == before else "after"] += 1
        run(place.subject)  # and nothing stays behind that would stop the next one
    assert found["before"]


OPTIMIZERS: dict[str, Callable[[list[Any]], Any]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "Adam of two groups": lambda p: optim.Adam([{"params": p[:1], "lr": 0.5}, {"params": p[1:]}]),
    "Rprop": lambda p: optim.Rprop(p),
    "ASGD": lambda p: optim.ASGD(p, t0=0),
    "LAMB": lambda p: optim.LAMB(p),
    "Shampoo": lambda p: optim.Shampoo(p, momentum=0.9),
    "a schedule": lambda p: optim.SGD(p, lr=optim.Exponential(0.1, 0.5), momentum=0.5),
    "Chain": lambda p: optim.Chain(
        p,
        transformations.clip_by_block_rms(0.5),
        transformations.clip_by_global_norm(1.0),
        transformations.scale_by_adam(),
        transformations.scale(-1),
    ),
    "Accumulate": lambda p: optim.Accumulate(optim.Adam(p), every=3),
    "Lookahead": lambda p: optim.Lookahead(optim.SGD(p, lr=0.1, momentum=0.9), k=2),
    "Combined": lambda p: optim.Combined(optim.Adam(p[:1]), optim.SGD(p[1:], lr=0.1)),
    "Switch": lambda p: optim.Switch(optim.Adam(p), optim.SGD(p, lr=0.1), at=2),
    "SWATS": lambda p: optim.SWATS(p, tolerance=10.0),
}


def stepped(name: str, steps: int, dtype: Any = np.float64) -> Any:
    optimizer = OPTIMIZERS[name](parameters(dtype))
    for _ in range(steps):
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_done_or_not(name: str, steps: int) -> None:
    is_whole(lambda: stepped(name, steps), lambda optimizer: optimizer.step())


@pytest.mark.parametrize("name", ["SGD", "Adam", "Rprop", "Chain", "Lookahead"])
def test_a_step_of_large_parameters_is_done_or_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PROGRAM", 1)  # as for arrays that are stepped in place, block after block
    for joined in (1, 100):
        monkeypatch.setattr(packs, "JOINED", joined)
        is_whole(lambda: stepped(name, 1), lambda optimizer: optimizer.step(), folders=STEPPING)


@pytest.mark.parametrize("name", ["Adam", "LAMB"])
def test_a_step_by_several_threads_is_done_or_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PROGRAM", 1)
    monkeypatch.setattr(packs, "JOINED", 1)
    monkeypatch.setattr(parallel, "WORTH_IT", 1)
    monkeypatch.setattr(parallel, "threads", lambda: 3)
    is_whole(lambda: stepped(name, 1), lambda optimizer: optimizer.step(), folders=STEPPING)


def test_a_step_in_half_precision_is_done_or_not() -> None:
    is_whole(lambda: stepped("Adam", 1, np.float16), lambda optimizer: optimizer.step())


CLOSED: dict[str, Callable[[list[Any]], Any]] = {
    "LBFGS": lambda p: optim.LBFGS(p, max_iter=3),
    "LBFGS with line search": lambda p: optim.LBFGS(p, max_iter=3, line_search_fn="strong_wolfe"),
    "SAM": lambda p: optim.SAM(optim.SGD(p, lr=0.1, momentum=0.9)),
    "Lookahead": lambda p: optim.Lookahead(optim.LBFGS(p, max_iter=2), k=1),
    "Switch": lambda p: optim.Switch(optim.LBFGS(p, max_iter=2), optim.SGD(p), at=5),
    "NewtonCG": lambda p: optim.NewtonCG(p, max_iter=3),
    "GaussNewton": lambda p: optim.GaussNewton(p, lambda y: (y * y).sum(), max_iter=2),
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_step_that_evaluates_the_loss_is_done_or_not(name: str) -> None:
    def closure(optimizer: Any) -> Any:
        p, *_ = optimizer.parameters()
        if name in ("NewtonCG", "GaussNewton"):
            return (p**4).sum() if name == "NewtonCG" else p * p - 1
        optimizer.zero_grad()
        loss = (p**4).sum()
        loss.backward()
        return loss

    def make() -> Any:
        optimizer = CLOSED[name](parameters()[:1])
        optimizer.step(lambda: closure(optimizer))
        return optimizer

    subject = make()
    before = seen(subject)
    subject.step(lambda: closure(subject))
    after = seen(subject)
    for place in every_interrupt(make, lambda optimizer: optimizer.step(lambda: closure(optimizer)), OPTIM):
        assert seen(place.subject) in (before, after), f"half done by an interrupt at {place}"


def test_an_interrupted_step_of_kfac_is_done_or_not() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)

    def make() -> Any:
        model = nn.MLP(2, 3, 1, generator=0)
        optimizer = optim.KFAC(model)
        (model(x) ** 2).mean().backward()
        return optimizer

    def run(optimizer: Any) -> None:
        optimizer.step()

    is_whole(make, run)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_is_loaded_or_not(name: str) -> None:
    state = stepped(name, 3).state_dict()
    is_whole(lambda: stepped(name, 1), lambda optimizer: optimizer.load_state_dict(state))


def test_the_state_of_a_schedule_is_loaded_with_the_optimizers_or_not() -> None:
    def make(reports: int = 1) -> Any:
        optimizer = optim.SGD(parameters(), lr=optim.Plateau(1.0, patience=0), momentum=0.9)
        for _ in range(reports):
            optimizer.param_groups[0]["lr"].report(1.0)
            optimizer.step()
        return optimizer

    state = make(3).state_dict()
    is_whole(make, lambda optimizer: optimizer.load_state_dict(state))


def test_a_models_state_is_loaded_or_not() -> None:
    state = nn.MLP(2, 3, 1, generator=1).state_dict()
    is_whole(lambda: nn.MLP(2, 3, 1, generator=0), lambda m: m.load_state_dict(state), lambda m: content(m.state_dict()), OURS)


# Stopped when the file was open but the `with` not yet begun; the garbage collector closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_checkpoint_is_loaded_or_not(tmp_path: Path) -> None:
    def make(seed: int = 0) -> dict[str, Any]:
        model = nn.Linear(2, 2, generator=seed)
        batches = nn.batches(np.arange(5), batch_size=2, shuffle=True, seed=seed)
        next(iter(batches))
        return {"model": model, "optimizer": optim.SGD(model.parameters()), "batches": batches, "random": np.random.default_rng(seed)}

    def look(parts: dict[str, Any]) -> Any:
        return content([part.bit_generator.state if name == "random" else part.state_dict() for name, part in parts.items()])

    nn.save_checkpoint(tmp_path / "run", **make(1))
    is_whole(make, lambda parts: nn.load_checkpoint(tmp_path / "run", **parts), look, (f"{ROOT}/nn/", f"{ROOT}/optim/"))


def test_a_module_is_of_one_dtype_after_an_interrupt() -> None:
    for place in every_interrupt(lambda: nn.MLP(2, 3, 1, generator=0), lambda m: m.to(np.float64)):
        assert len({p.dtype for p in place.subject.parameters()}) == 1, str(place)
        assert all(p.requires_grad for p in place.subject.parameters()), str(place)


def test_a_module_has_its_own_parameters_after_an_interrupt() -> None:
    new = {name: np.zeros_like(p.data) for name, p in nn.MLP(2, 3, 1).named_parameters()}

    def make() -> Any:
        model = nn.MLP(2, 3, 1, generator=0)
        return model, list(model.parameters())

    for place in every_interrupt(make, lambda pair: nn.functional_call(pair[0], new, np.ones(2, np.float32))):
        model, own = place.subject
        assert all(p is q for p, q in zip(model.parameters(), own, strict=True)), str(place)


def test_a_mean_of_weights_is_put_back_and_updated_as_a_whole() -> None:
    def make() -> Any:
        mean = optim.WeightAverage(parameters())
        mean.update()
        for p in mean.parameters:
            p.data[...] += 1
        return mean

    def look(mean: Any) -> Any:
        return content([[p.data for p in mean.parameters], mean.state_dict()])

    def apply(mean: Any) -> None:
        with mean.applied():
            pass

    is_whole(make, lambda mean: mean.update(), look)
    before = look(make())
    for place in every_interrupt(make, apply):
        assert look(place.subject) == before, str(place)


def test_a_step_that_numpy_stops_is_a_whole_one_all_the_same() -> None:
    def make() -> Any:
        optimizer = optim.Adam(parameters(np.float16), lr=1e5)  # changes that float16 cannot hold
        for p in optimizer.parameters():
            p.data[...] = 60000
            p.grad = ag.tensor(np.full(p.shape, -1, np.float16))
        return optimizer

    whole, stopped = make(), make()
    with np.errstate(over="ignore"):
        whole.step()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        stopped.step()
    assert seen(stopped) == seen(whole)


def test_the_harness_finds_a_step_that_is_half_done() -> None:
    class Halves:
        a = b = 0

    def run(halves: Any) -> None:
        half_done(halves)

    namespace: dict[str, Any] = {}
    exec(compile("def half_done(halves):\n    halves.a += 1\n    halves.b += 1\n", "/half/done.py", "exec"), namespace)
    half_done = namespace["half_done"]
    left = [(place.subject.a, place.subject.b) for place in every_interrupt(Halves, run, ("/half/",))]
    assert left == [(0, 0), (1, 0)]
    exec(compile("def swallow(halves):\n    try:\n        a = 1\n    except BaseException:\n        pass\n", "/half/done.py", "exec"), namespace)
    with pytest.raises(AssertionError, match="an interrupt was swallowed"):
        list(every_interrupt(Halves, lambda halves: namespace["swallow"](halves), ("/half/",)))
    with pytest.raises(Interrupt):
        raise Interrupt
