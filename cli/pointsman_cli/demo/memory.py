"""The memory of everything together: proportional set size of a process and all below it."""

import threading

import psutil

__all__ = ["Peak"]

PERIOD_S = 0.5
MIB = 1024 * 1024


class Peak:
    """Samples the PSS of this process and its descendants twice a second, until closed.

    Pages that processes share count once: the sum of resident sizes would count a forked parent's libraries
    again in every child. Where the system knows no PSS, the resident size is taken.
    """

    def __init__(self) -> None:
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def close(self) -> float:
        """The peak in MiB."""
        self._stop.set()
        self._thread.join()
        return self._peak / MIB

    def _run(self) -> None:
        root = psutil.Process()
        while not self._stop.wait(PERIOD_S):
            processes = [root, *root.children(recursive=True)]
            self._peak = max(self._peak, sum(_size(process) for process in processes))


def _size(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0
    return int(getattr(full, "pss", full.rss))
