"""Work on large arrays, spread over threads: NumPy releases the interpreter's lock while it computes."""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any

from optim.at_once import Changes, at_once
from optim.program import Workspace

__all__ = ["changes_of", "run_all"]

WORTH_IT = 1 << 20  # elements: below, waking a thread costs more than it saves

Task = tuple[int, Callable[[Workspace], Any]]  # elements to work on, and what to do


@functools.cache
def threads() -> int:
    """How many threads to use: OMP_NUM_THREADS, as for BLAS, or else the processors that this process may run on."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads() - 1, thread_name_prefix="optim")


def _forget_threads() -> None:
    """A forked process has the pool and the queues, but none of their threads."""
    _pool.cache_clear()
    _inbox.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def run_all(tasks: Sequence[Task], workspaces: list[Workspace]) -> list[Any]:
    """Run the tasks and return their results in order. Each thread has one of the workspaces, which are added as needed."""
    if (workers := _workers(tasks, workspaces)) == 1:
        return [task(workspaces[0]) for _, task in tasks]
    results: list[Any] = [None] * len(tasks)

    def work(worker: int, share: list[int]) -> None:
        for i in share:
            results[i] = tasks[i][1](workspaces[worker])

    first, *rest = _shares(tasks, workers)
    # In copies of this thread's context: what the caller set with np.errstate holds there too.
    others = [_pool().submit(contextvars.copy_context().run, work, worker, share) for worker, share in enumerate(rest, 1)]
    try:
        work(0, first)
    finally:
        for other in others:
            other.result()
    return results


def changes_of(tasks: Sequence[Task], workspaces: list[Workspace]) -> Changes:
    """The changes that the tasks result in, made by several threads if they are large: each makes those that it has prepared."""
    found = run_all(tasks, workspaces)
    if (workers := _workers(tasks, workspaces)) == 1:
        return [change for changes in found for change in changes]
    own, *rest = [[change for i in share for change in found[i]] for share in _shares(tasks, workers)]
    done: SimpleQueue[None] = SimpleQueue()
    errors: list[BaseException] = []
    begin: Changes = [
        partial(_inbox(worker).put, partial(contextvars.copy_context().run, _make, changes, errors, done)) for worker, changes in enumerate(rest)
    ]
    # Each says twice that it is done, and is waited for twice: an interrupt that ends one wait leaves enough of them.
    return [*begin, *own, *[done.get] * (2 * len(rest)), partial(_raise_first, errors)]


def _workers(tasks: Sequence[Task], workspaces: list[Workspace]) -> int:
    most = min(threads(), len(tasks))
    workers = most if most > 1 and sum(size for size, _ in tasks) >= WORTH_IT else 1
    if len(workspaces) >= workers:
        return workers
    workspaces.extend(Workspace() for _ in range(workers - len(workspaces)))
    return workers


def _shares(tasks: Sequence[Task], workers: int) -> list[list[int]]:
    """Which tasks each of the workers does, the largest ones given out first, to those that have least."""
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for i in sorted(range(len(tasks)), key=lambda i: -tasks[i][0]):
        least = loads.index(min(loads))
        shares[least].append(i)
        loads[least] += tasks[i][0]
    return shares


@functools.cache
def _inbox(worker: int) -> SimpleQueue[Callable[[], None]]:
    """Where a thread waits for work. A queue written in C, because what is put there begins a step that no interrupt may leave half done."""
    inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def serve() -> None:
        while True:
            inbox.get()()

    threading.Thread(target=serve, daemon=True, name=f"optim-{worker}").start()
    return inbox


def _make(changes: Changes, errors: list[BaseException], done: SimpleQueue[None]) -> None:
    try:
        at_once(changes)
    except BaseException as error:  # noqa: BLE001  whatever it is, the thread that waits is told
        errors.append(error)
    finally:
        done.put(None)
        done.put(None)


def _raise_first(errors: list[BaseException]) -> None:
    if errors:
        raise errors[0]
