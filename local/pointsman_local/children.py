"""Child processes that end with their parent, whatever ends it: Ctrl-C, a crash or `kill -9`.

Two guards. On Linux the kernel kills a child when the thread that started it is gone (PR_SET_PDEATHSIG); that
reaches no grandchild. Everywhere a reaper, one small process, holds the read end of a pipe whose write end only
the parent has; when the pipe ends, it kills every process group that was registered and not struck off. A child
registers itself before it becomes the program that was asked for, so no moment lies in between.

Children must be started from a thread that lives as long as they shall: the main one.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["Child", "Children"]

# Runs before the program, in the process that becomes it: dies with the parent, tells the reaper, executes.
# The pipe's end is closed by the exec. A parent that died before prctl is noticed by its id.
_LAUNCH = """
import os, sys
pipe, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
os.set_inheritable(pipe, False)
os.write(pipe, b"+%d\\n" % os.getpid())
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != parent:
    sys.exit(0)
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"exec: {command[0]}: {error.strerror}")
"""

# Ignores what a terminal or a supervisor sends to everybody: it must be the last to go.
_REAPER = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""

_PYTHON = [sys.executable, "-I", "-S", "-c"]


class Child:
    """A running program, leader of its own process group."""

    def __init__(self, process: asyncio.subprocess.Process, children: "Children") -> None:
        self._process = process
        self._children = children
        self._ended = asyncio.ensure_future(self._wait())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._ended.done()

    async def wait(self) -> int:
        """Exit status, negative for a signal. What the program left behind in its group is killed then."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens once the program has ended."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def end(self, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after `grace_s`; the exit status."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                return await self.wait()
        self.signal(signal.SIGKILL)
        return await self.wait()

    async def _wait(self) -> int:
        status = await self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._children._strike(self)
        return status


class Children:
    """Starts programs that cannot outlive this process. Close it last: closing kills what still runs."""

    def __init__(self) -> None:
        self._reaper = subprocess.Popen(
            [*_PYTHON, _REAPER], stdin=subprocess.PIPE, start_new_session=True, bufsize=0, cwd="/"
        )
        pipe = self._reaper.stdin
        assert pipe is not None
        self._pipe: IO[bytes] = pipe
        self._running: set[Child] = set()

    async def start(
        self, command: Sequence[str], *, env: Mapping[str, str], folder: Path, output: int = subprocess.DEVNULL
    ) -> Child:
        """Start `command`, found by `PATH` of `env`, in `folder`, writing to the file descriptor `output`.

        Raises OSError when `folder` is none. A command that cannot be executed ends with status 1 and says so
        on `output`.
        """
        process = await asyncio.create_subprocess_exec(
            *_PYTHON,
            _LAUNCH,
            str(self._pipe.fileno()),
            str(os.getpid()),
            *command,
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(self._pipe.fileno(),),
        )
        child = Child(process, self)
        self._running.add(child)
        return child

    async def close(self, grace_s: float = 2.0) -> None:
        """End everything: SIGTERM to all at once, SIGKILL to what runs on after `grace_s`."""
        await asyncio.gather(*(child.end(grace_s) for child in tuple(self._running)))
        self._pipe.close()
        await asyncio.to_thread(self._reaper.wait)

    def _strike(self, child: Child) -> None:
        self._running.discard(child)
        with contextlib.suppress(OSError, ValueError):  # the reaper is gone, or this is closed
            self._pipe.write(b"-%d\n" % child.pid)
