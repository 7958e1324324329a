"""Work on every processor: in order, whatever else this process does, and ended by Ctrl-C."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest
from tests.local.cluster import until

from pointsman_cli.judging.processes import in_parallel

HELD = threading.Lock()


def _square(number: int) -> int:
    return number * number


def _may_have_the_lock(_: int) -> bool:
    return HELD.acquire(blocking=False)


def _root(number: int) -> float:
    if number < 0:
        raise ValueError(f"{number} has none")
    return float(number**0.5)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_results_come_in_the_order_of_the_work(chunk: int) -> None:
    assert list(in_parallel(_square, range(20), chunk=chunk)) == [number * number for number in range(20)]


def test_no_work_is_no_results() -> None:
    assert list(in_parallel(_square, [])) == []


def test_a_lock_that_a_thread_of_this_process_holds_is_free_there() -> None:
    with HELD:
        assert list(in_parallel(_may_have_the_lock, [0])) == [True]


def test_an_error_is_raised_where_the_results_are_asked_for() -> None:
    with pytest.raises(ValueError, match="-1 has none"):
        list(in_parallel(_root, [4, -1, 9]))


def test_ctrl_c_ends_a_simulation_without_a_traceback() -> None:
    """Typed at a terminal, it goes to every process there."""
    command = [sys.executable, "-m", "pointsman_cli", "judge", "simulate", "--rate", "56", "--base", "1%"]
    process = subprocess.Popen(
        [*command, "--rollouts", "2000"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        until(lambda: len(psutil.Process(process.pid).children()) > 1)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, said.strip()) == (130, "")
