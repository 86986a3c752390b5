"""An interrupt at any line of what is around a step: layers, schedulers, instruments, checks, maps, checkpoints, files, batches, `nn.fit`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from interrupts import OURS, every_interrupt
from test_interrupts_in_training import content

import autograd_core as ag
import nn
import optim
from autograd_core.tape.loading import load_more
from optim import lr_scheduler

load_more()
X = np.random.default_rng(0).normal(size=(3, 2))


def modes() -> Any:
    return np.geterr(), ag.is_grad_enabled(), ag.observer(), signal.getsignal(signal.SIGINT)


class Case(NamedTuple):
    """What is made anew for each interrupt, what is done with it, and how all that it changes is looked at."""

    make: Callable[[], Any]
    run: Callable[[Any], Any]
    look: Callable[[Any], Any]


def state(module: Any) -> Any:
    return content(module.state_dict())


def linear() -> Any:
    return nn.Linear(2, 2, generator=0, dtype=np.float64)


def with_gradients() -> Any:
    model = nn.MLP(2, 3, 1, generator=0, dtype=np.float64)
    (model(X) ** 2).sum().backward()
    return model


def gradients(model: Any) -> Any:
    return content([p.grad for p in model.parameters()])


def structure(module: Any) -> Any:
    """The state, and what is computed of it."""
    return state(module), sorted(name for name, _ in module.named_parameters()), content(module(X))


def scheduled(make: Callable[[Any], Any], steps: int = 1) -> Callable[[], Any]:
    def scheduler() -> Any:
        optimizer = optim.SGD(linear().parameters(), lr=0.5, momentum=0.9)
        made = make(optimizer)
        for _ in range(steps):
            made.step(*([1.0] if isinstance(made, lr_scheduler.ReduceLROnPlateau) else []))
        return made, optimizer

    return scheduler


def advance(pair: Any) -> None:
    pair[0].step(*([1.0] if isinstance(pair[0], lr_scheduler.ReduceLROnPlateau) else []))


def rate(pair: Any) -> Any:
    scheduler, optimizer = pair
    return content(scheduler.state_dict()), [{k: content(v) for k, v in group.items() if k != "params"} for group in optimizer.param_groups]


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 1),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=8),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ConstantLR(o), lr_scheduler.StepLR(o, 1)], milestones=[2]),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)]),
}


def loading_a_later_state(make: Callable[[Any], Any]) -> Callable[[Any], None]:
    later = scheduled(make, 3)()[0].state_dict()
    return lambda pair: pair[0].load_state_dict(later)


def optimizer() -> Any:
    return optim.SGD(linear().parameters(), lr=0.1)


def normalised() -> Any:
    return nn.BatchNorm1d(2, dtype=np.float64)


def lazy() -> Any:
    return nn.LazyLinear(2, dtype=np.float64)


def taking_batches() -> Any:
    return nn.batches(np.arange(7), batch_size=3, shuffle=True, seed=1)


WHOLE: dict[str, Case] = {
    "clip_grad_norm_": Case(with_gradients, lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1e-3), gradients),
    "clip_grad_value_": Case(with_gradients, lambda m: nn.utils.clip_grad_value_(m.parameters(), 1e-3), gradients),
    "batch normalisation": Case(normalised, lambda m: m(X), state),
    "weight_norm": Case(linear, nn.utils.weight_norm, structure),
    "remove_weight_norm": Case(lambda: nn.utils.weight_norm(linear()), nn.utils.remove_weight_norm, structure),
    "parametrizations.weight_norm": Case(linear, nn.utils.parametrizations.weight_norm, structure),
    "add_param_group": Case(optimizer, lambda o: o.add_param_group({"params": [ag.tensor(X, requires_grad=True)]}), state),
    **{f"a step of {name}": Case(scheduled(make), advance, rate) for name, make in SCHEDULERS.items()},
    **{f"a state for {name}": Case(scheduled(make), loading_a_later_state(make), rate) for name, make in SCHEDULERS.items()},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WHOLE)
def test_what_was_interrupted_is_done_or_not_begun(name: str) -> None:
    case = WHOLE[name]
    subject = case.make()
    before = case.look(subject)
    subject = case.make()
    case.run(subject)
    after = case.look(subject)
    assert before != after
    now = modes()
    for place in every_interrupt(case.make, case.run, OURS):
        assert modes() == now, f"a mode was left changed by an interrupt at {place}"
        left = case.look(place.subject)
        assert left in (before, after), f"half done by an interrupt at {place}:\n{left}\nbefore\n{before}\nafter\n{after}"


# What changes nothing for good: after an interrupt all is as it was, and the next run gives what it would have given.


def module_and_parameters() -> Any:
    model = nn.MLP(2, 3, 1, generator=0, dtype=np.float64)
    return model, list(model.parameters()), [p.data.copy() for p in model.parameters()]


def layer_and_parameters() -> Any:
    model = nn.Linear(2, 1, generator=0, dtype=np.float64)
    return model, list(model.parameters()), [p.data.copy() for p in model.parameters()]


def smooth(x: Any) -> Any:
    t = np.tanh(x * x)
    t[0] = t[1] * 2.0
    return t.sum()


def hooked_and_swept(_: Any) -> Any:
    with ag.saved_tensors_hooks(lambda a: a.copy(), lambda a: a):
        x = ag.tensor(X, requires_grad=True)
        loss = smooth(x)
    loss.backward()
    return x.grad


def ledger(_: Any) -> Any:
    x = ag.tensor(X, requires_grad=True)
    return str(ag.memory(smooth(x)))[:0]


def scoped(_: Any) -> Any:
    with ag.scope("part"):
        return smooth(ag.tensor(X, requires_grad=True)).data


def observed(_: Any) -> Any:
    with ag.record(), ag.profile():
        return smooth(ag.tensor(X, requires_grad=True)).data


def checkpointed(_: Any) -> Any:
    x = ag.tensor(X, requires_grad=True)
    ag.checkpoint(smooth)(x).backward()
    return x.grad


def chained(_: Any) -> Any:
    x = ag.tensor(X, requires_grad=True)
    ag.checkpoint_chain([np.tanh, np.sin, np.tanh])(x).sum().backward()
    return x.grad


SAME: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "gradcheck of a module": (layer_and_parameters, lambda m: ag.gradcheck(m[0], X[:1], order=1, vary=False) and None),
    "vmap": (lambda: None, lambda _: ag.vmap(ag.grad(smooth))(X)),
    "jvp": (lambda: None, lambda _: ag.jvp(smooth, (X,), (X,))[1]),
    "hvp": (lambda: None, lambda _: ag.hvp(smooth)(X, X)),
    "jacobian": (lambda: None, lambda _: ag.jacobian(lambda x: np.tanh(x @ X.T))(X)),
    "root": (lambda: None, lambda _: ag.grad(lambda a: ag.root(lambda y, a: y**3 + y - a, np.array(0.5), a))(2.0)),
    "checkpoint": (lambda: None, checkpointed),
    "checkpoint_chain": (lambda: None, chained),
    "saved_tensors_hooks": (lambda: None, hooked_and_swept),
    "memory": (lambda: None, ledger),
    "scope": (lambda: None, scoped),
    "record and profile": (lambda: None, observed),
    "tape": (lambda: None, lambda _: str(ag.tape(smooth(ag.tensor(X, requires_grad=True))))[:0]),
    "draw": (lambda: None, lambda _: str(ag.draw(smooth(ag.tensor(X, requires_grad=True))))[:0]),
    "functional_call": (module_and_parameters, lambda m: nn.functional_call(m[0], {n: p * 2.0 for n, p in m[0].named_parameters()}, X)),
    "a lazy layer": (lazy, lambda m: m(X).shape),
    "a recurrent layer": (lambda: nn.GRU(2, 3, generator=0, dtype=np.float64), lambda m: m(X)[0]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAME)
def test_what_was_interrupted_leaves_nothing_behind_and_can_be_done_again(name: str) -> None:
    make, run = SAME[name]
    expected = content(run(make()))
    now = modes()
    for place in every_interrupt(make, run, OURS, some=4 if "gradcheck" in name else 8):
        assert modes() == now, f"a mode was left changed by an interrupt at {place}"
        if isinstance(place.subject, tuple):
            model, own, values = place.subject
            assert all(p is q and p.requires_grad and p.is_leaf for p, q in zip(model.parameters(), own, strict=True)), str(place)
            assert all(np.array_equal(p.data, v) for p, v in zip(own, values, strict=True)), str(place)
        assert content(run(place.subject)) == expected, f"another result after an interrupt at {place}"


# --- batches, files, fit -----------------------------------------------------------------------------------------------------------------


def test_an_interrupted_epoch_can_be_gone_through_again() -> None:
    for place in every_interrupt(taking_batches, list, OURS):
        for _ in range(2):
            seen = [int(i) for batch in place.subject for i in batch]
        assert sorted(seen) == list(range(7)), str(place)


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_save_leaves_the_file_as_it_was_or_the_new_one(tmp_path: Path) -> None:
    models = [nn.Linear(2, 2, generator=seed) for seed in (0, 1)]
    path = tmp_path / "run.safetensors"

    def make() -> Any:
        nn.save_checkpoint(path, model=models[0])

    states = [state(m) for m in models]
    for place in every_interrupt(make, lambda _: nn.save_checkpoint(path, model=models[1]), OURS):
        loaded = nn.Linear(2, 2, generator=2)
        nn.load_checkpoint(path, model=loaded)
        assert state(loaded) in states, str(place)
    make()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_fit_leaves_whole_steps_and_no_handler() -> None:
    def make() -> Any:
        model = nn.MLP(2, 3, 1, generator=0, dtype=np.float64)
        return model, optim.Adam(model.parameters(), lr=0.1)

    def look(pair: Any) -> Any:
        return state(pair[0]), content(pair[1].state_dict())

    def fit(pair: Any, callbacks: Any = ()) -> None:
        nn.fit(pair[0], (X, X[:, :1]), nn.MSELoss(), pair[1], epochs=2, batch_size=2, shuffle=False, progress=False, callbacks=callbacks)

    class Look(nn.training.Callback):
        def step(self, run: Any) -> None:
            seen.append(look(subject))

    subject = make()
    seen = [look(subject)]
    fit(subject, [Look()])
    now = modes()
    for place in every_interrupt(make, fit, OURS, some=12):
        assert modes() == now, f"a mode or handler was left by an interrupt at {place}"
        assert look(place.subject) in seen, f"half a step was left by an interrupt at {place}"
        assert len({module.training for module in place.subject[0].modules()}) == 1, str(place)
