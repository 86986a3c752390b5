"""Lock-free parallel stochastic gradient descent, after Hogwild: threads that write to one set of parameters without locks.

Each thread takes a copy of the shared parameters as they happen to be, computes a gradient on a batch of its own, and adds its
change to the shared arrays while others do the same. Changes are small and mostly fall on different moments, so little is lost;
what is lost acts as noise. Threads help as far as NumPy releases the interpreter's lock, in matrix products above all.

Niu et al. 2011, "Hogwild!: a lock-free approach to parallelizing stochastic gradient descent", algorithm 1.
"""

from __future__ import annotations

import contextvars
import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["hogwild"]


def hogwild(model: Any, loss_of: Callable[[Any, Any], Any], batches: Iterable[Any], make_optimizer: Callable[[Any], Any], threads: int = 2) -> int:
    """Train the parameters of `model` in place by several threads, until the batches are used up.

    model           a module; every thread works on a copy of it
    loss_of         (module, batch) -> loss
    batches         each batch goes to one thread
    make_optimizer  parameters -> optimizer, called once per thread: momenta are the thread's own
    threads         how many
    returns         the number of steps done
    raises          what a thread raised; the others finish the batch they are at
    """
    if threads < 1:
        raise ValueError(f"hogwild: threads must be at least 1, not {threads}")
    shared = [p.data for p in model.parameters()]
    source = iter(batches)
    lock = threading.Lock()  # for drawing batches only: generators cannot be asked by two threads at once
    stop = threading.Event()

    def draw() -> Iterator[Any]:
        while not stop.is_set():
            with lock:
                try:
                    batch = next(source)
                except StopIteration:
                    return
            yield batch

    def work(replica: Any) -> int:
        own = list(replica.parameters())
        optimizer = make_optimizer(own)
        steps = 0
        try:
            for batch in draw():
                for p, array in zip(own, shared, strict=True):
                    p.data[...] = array
                optimizer.zero_grad()
                loss_of(replica, batch).backward()
                before = [p.data.copy() for p in own]
                optimizer.step()
                for p, array, old in zip(own, shared, before, strict=True):
                    array += p.data - old  # without a lock: another thread's change may be lost, and that is accepted
                steps += 1
        except BaseException:
            stop.set()
            raise
        return steps

    replicas = [copy.deepcopy(model) for _ in range(threads)]
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hogwild") as pool:
        running = [pool.submit(contextvars.copy_context().run, work, replica) for replica in replicas]
        return sum(thread.result() for thread in running)
