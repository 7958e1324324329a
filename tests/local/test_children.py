"""Child processes end with their parent, whatever ends it, and take along what they started themselves."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from tests.local.cluster import until

from pointsman_local.children import Child, Children

# A leader with a child in its own group: the leader's second line is the child's id.
FAMILY = ["sh", "-c", "sleep 1000 & echo $$ $! > family; wait"]
STUBBORN = ["sh", "-c", "trap '' TERM; touch ready; while :; do sleep 0.05; done"]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def family(folder: Path) -> tuple[int, int]:
    file = folder / "family"
    leader, child = until(lambda: file.exists() and file.read_text().split())
    return int(leader), int(child)


def with_child(command: list[str], folder: Path, act: Callable[[Child, Children], Awaitable[object]]) -> object:
    async def run() -> object:
        children = Children()
        try:
            return await act(await children.start(command, env=dict(os.environ), folder=folder), children)
        finally:
            await children.close()

    return asyncio.run(run())


def test_what_a_killed_leader_left_in_its_group_is_killed(tmp_path: Path) -> None:
    async def act(child: Child, children: Children) -> object:
        leader, grandchild = await asyncio.to_thread(family, tmp_path)
        assert leader == child.pid
        os.kill(leader, signal.SIGKILL)
        status = await child.wait()
        await asyncio.to_thread(until, lambda: gone(grandchild))
        return status

    assert with_child(FAMILY, tmp_path, act) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param(["sh", "-c", "trap 'exit 7' TERM; touch ready; while :; do sleep 0.02; done"], 7, id="asked"),
        pytest.param(STUBBORN, -signal.SIGKILL, id="killed-after-the-grace"),
    ],
)
def test_it_is_asked_to_end_and_killed_when_it_does_not(tmp_path: Path, command: list[str], status: int) -> None:
    async def act(child: Child, children: Children) -> object:
        await asyncio.to_thread(until, (tmp_path / "ready").exists)
        assert not child.ended
        return await child.end(5.0 if status == 7 else 0.1)

    assert with_child(command, tmp_path, act) == status


def test_close_ends_everything_at_once(tmp_path: Path) -> None:
    async def act(child: Child, children: Children) -> object:
        second = await children.start(STUBBORN, env=dict(os.environ), folder=tmp_path)
        await asyncio.to_thread(family, tmp_path)
        await asyncio.to_thread(until, (tmp_path / "ready").exists)
        await children.close(0.1)
        return child.ended, second.ended, gone(child.pid), gone(second.pid)

    assert with_child(FAMILY, tmp_path, act) == (True, True, True, True)


def test_a_command_that_cannot_be_executed_ends_with_status_1_and_says_so(tmp_path: Path) -> None:
    async def run() -> int:
        children = Children()
        with (tmp_path / "log").open("wb") as log:
            child = await children.start(["nonesuch"], env=dict(os.environ), folder=tmp_path, output=log.fileno())
        status = await child.wait()
        await children.close()
        return status

    assert asyncio.run(run()) == 1
    assert (tmp_path / "log").read_text() == "exec: nonesuch: No such file or directory\n"


def test_its_environment_and_folder_are_those_that_were_given(tmp_path: Path) -> None:
    async def act(child: Child, children: Children) -> object:
        return await child.wait()

    assert with_child(["sh", "-c", 'test "$PWD" = "$0" && test -z "$MARK"', str(tmp_path)], tmp_path, act) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
def test_nothing_outlives_a_parent_that_ends_without_a_word(tmp_path: Path, number: int) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from pointsman_local.children import Children\n"
        "async def main():\n"
        "    children = Children()\n"
        "    await children.start(sys.argv[1:], env=dict(os.environ), folder=Path.cwd())\n"
        "    await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, *FAMILY], cwd=tmp_path)
    leader, grandchild = family(tmp_path)
    reapers = [child.pid for child in psutil.Process(parent.pid).children()]
    parent.send_signal(number)
    assert parent.wait(20) == -number
    until(lambda: all(gone(pid) for pid in (leader, grandchild, *reapers)))
