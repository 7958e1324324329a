"""No process outlives the one that started it, however that one ended."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["die_with_parent", "end_group"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int) -> Callable[[], None]:
    """A `preexec_fn`: on Linux the kernel ends the child when the thread that started it is gone.

    Elsewhere nothing is done here: a child of ours also ends at the end of its standard input.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it had gone before the kernel was asked
            os._exit(1)

    return prepare


def end_group(pid: int, number: int) -> None:
    """Signal a process and all of its group; gone is fine."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:  # macOS, for a zombie
        pass
