"""Work on large arrays, spread over threads: NumPy releases the interpreter's lock while it computes."""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from optim.program import Workspace

__all__ = ["run_all"]

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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has the pool, but none of its threads


def run_all(tasks: Sequence[Task], workspaces: list[Workspace]) -> list[Any]:
    """Run the tasks and return their results in order. Each thread has one of the workspaces, which are added as needed."""
    workers = min(threads(), len(tasks)) if sum(size for size, _ in tasks) >= WORTH_IT else 1
    if workers == 1 and workspaces:
        return [task(workspaces[0]) for _, task in tasks]
    workspaces.extend(Workspace() for _ in range(workers - len(workspaces)))
    results: list[Any] = [None] * len(tasks)
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for i in sorted(range(len(tasks)), key=lambda i: -tasks[i][0]):
        least = loads.index(min(loads))
        shares[least].append(i)
        loads[least] += tasks[i][0]

    def work(worker: int) -> None:
        for i in shares[worker]:
            results[i] = tasks[i][1](workspaces[worker])

    # In copies of this thread's context: what the caller set with np.errstate holds there too.
    others = [_pool().submit(contextvars.copy_context().run, work, worker) for worker in range(1, workers)]
    try:
        work(0)
    finally:
        for other in others:
            other.result()
    return results
