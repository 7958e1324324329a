"""Who runs on a data directory: a lock that the kernel lets go of however its holder ends.

A process id in a file would outlive a `kill -9`, and might by then be somebody else's.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["held", "holder"]

# Longer than a look by `holder` takes, which would otherwise be taken for another cloud.
PATIENCE_S = 0.5
POLL_S = 0.01


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the lock at `path`, until this process ends at the latest; False when another one has it."""
    with path.open("a+") as file:
        got = _taken(file)
        if got:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield got


def holder(path: Path) -> int | None:
    """The id of the process that holds the lock at `path`; None when nobody does."""
    try:
        file = path.open()
    except FileNotFoundError:
        return None
    with file:
        deadline = time.monotonic() + PATIENCE_S
        while not _got(file, fcntl.LOCK_SH):
            file.seek(0)
            if (text := file.read()).isdigit():
                return int(text)
            if time.monotonic() > deadline:  # it was taken, and its holder has not come to write its id
                return None
            time.sleep(POLL_S)
    return None


def _taken(file: IO[str]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not _got(file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _got(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
