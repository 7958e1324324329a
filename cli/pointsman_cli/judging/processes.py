"""Work for every processor of this machine.

Processes begin anew in place of being forked: a fork inherits the locks that other threads hold at that moment, gRPC's
among them, and waits for them for ever.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, pthread_sigmask
from typing import TypeVar

__all__ = ["in_parallel"]

A = TypeVar("A")
B = TypeVar("B")


def in_parallel(function: Callable[[A], B], work: Sequence[A], *, chunk: int = 1) -> Iterator[B]:
    """`map` over a process for each processor, in the order of `work`; `chunk` is how many go to one at a time.

    `function`, what it takes and what it gives must be picklable. Its errors are raised here. After one, and after
    Ctrl-C, what has not begun never begins.
    """
    processes = min(os.cpu_count() or 1, max(1, len(work) // chunk))
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        try:
            with _without_ctrl_c():
                results = pool.map(function, work, chunksize=chunk)
            yield from results
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes that are started here leave it to this one; a terminal sends it to all of its group."""
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)
