"""What every command has in common: one line for an error, with what to type next, and the exit statuses."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.ledger_samples import event, rollout, service

from pointsman_cli.main import SECTIONS


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        pytest.param(
            ["rollout"],
            2,
            "no such command 'rollout', did you mean 'rollouts'? — see: pointsman --help",
            id="command-nearly",
        ),
        pytest.param(["juggle"], 2, "no such command 'juggle' — see: pointsman --help", id="command"),
        pytest.param(
            ["rollouts", "lst"],
            2,
            "no such command 'lst', did you mean 'list'? — see: pointsman rollouts --help",
            id="subcommand-nearly",
        ),
        pytest.param(
            ["rollouts", "get"], 2, "missing argument 'ROLLOUT' — see: pointsman rollouts get --help", id="argument"
        ),
        pytest.param(
            ["status", "-o", "xml"],
            2,
            "invalid value for '-o' / '--output': 'xml' is not one of 'table', 'wide', 'json', 'yaml'"
            " — see: pointsman status --help",
            id="format",
        ),
        pytest.param(
            ["events", "list", "--limit", "0"],
            2,
            "invalid value for '--limit': 0 is not in the range x>=1 — see: pointsman events list --help",
            id="out-of-range",
        ),
        pytest.param(["why", "nix"], 1, "no service nix — push a ModelService first", id="no-service-at-all"),
        pytest.param(["rollouts", "get", "nix"], 1, "no rollout and no service nix — pointsman rollouts list", id="id"),
        pytest.param(["events", "get", "nix"], 1, "no event nix — pointsman events list", id="event"),
        pytest.param(["pools", "get", "nix"], 1, "no pool nix — pointsman pools list", id="pool"),
    ],
)
def test_an_error_is_one_line_on_stderr_with_what_to_type_next(
    pointsman: Any, ledger: Any, words: list[str], status: int, line: str
) -> None:
    ran = pointsman(*words)
    assert (ran.status, ran.out, ran.err) == (status, "", f"error: {line}\n")


def test_an_unknown_service_is_answered_with_those_that_there_are(pointsman: Any, ledger: Any) -> None:
    ledger.put(service("digits"), service("chat", "nlp"))
    assert pointsman("status", "nix").err == "error: no service nix — known: demo/digits, nlp/chat\n"
    assert (
        pointsman("status", "digits", "-n", "nlp").err
        == "error: no service nlp/digits — known: demo/digits, nlp/chat\n"
    )


def test_a_name_in_two_namespaces_asks_for_the_namespace(pointsman: Any, ledger: Any) -> None:
    ledger.put(service("digits"), service("digits", "nlp"))
    ran = pointsman("why", "digits")
    assert (ran.status, ran.err) == (1, "error: service digits is in demo, nlp — say which with -n NAMESPACE\n")
    assert pointsman("why", "digits", "-n", "nlp").out.startswith("nlp/digits: ")
    assert pointsman("why", "nlp/digits").out.startswith("nlp/digits: ")


def test_what_is_not_set_is_named_at_once_and_how_to_set_it(pointsman: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.delenv("POINTSMAN_LEDGER", raising=False)
    ran = pointsman("status")
    assert ran.status == 1
    assert ran.err == (
        "error: environment: not set: GOOGLE_CLOUD_PROJECT, POINTSMAN_LEDGER"
        ' — on a laptop: eval "$(pointsman local env)"\n'
    )


def test_a_ledger_out_of_reach_is_status_4(
    pointsman: Any, ledger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_LEDGER", f"sqlite://{tmp_path}/gone/ledger.db")
    ran = pointsman("status")
    assert ran.status == 4
    assert ran.err == f"error: {tmp_path}/gone/ledger.db: the ledger cannot be opened: unable to open database file\n"


@pytest.mark.parametrize("command", ["status", "env", "down"])
def test_without_a_local_cloud_it_is_status_4(pointsman: Any, tmp_path: Path, command: str) -> None:
    ran = pointsman("local", command, "--data", tmp_path)
    assert (ran.status, ran.out) == (4, "")
    assert ran.err == f"error: {tmp_path}: the local cloud is not running — pointsman local up --data {tmp_path}\n"


def test_the_default_directory_needs_no_option(pointsman: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ran = pointsman("local", "status")
    assert ran.err == f"error: {tmp_path}/pointsman: the local cloud is not running — pointsman local up\n"


def test_help_lists_every_command_once_under_what_it_is_for(pointsman: Any) -> None:
    ran = pointsman("--help")
    assert ran.status == 0
    for section, commands in SECTIONS.items():
        assert f"{section}:" in ran.lines
        for name, text in commands.items():
            assert [line.split() for line in ran.lines].count([name, *text.split()]) == 1


@pytest.mark.parametrize("name", [name for commands in SECTIONS.values() for name in commands])
def test_every_command_has_a_help_of_its_own(pointsman: Any, name: str) -> None:
    ran = pointsman(name, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines[0].startswith(f"Usage: pointsman {name} ")


def test_without_a_command_the_help_is_shown_and_the_status_is_2(pointsman: Any) -> None:
    ran = pointsman()
    assert ran.status == 2
    assert ran.err.startswith("Usage: pointsman ")


def test_the_version_is_said(pointsman: Any) -> None:
    assert pointsman("--version").out.startswith("pointsman, version ")


# --- colour -------------------------------------------------------------------------------------------------------


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


def test_a_terminal_gets_colours_and_a_pipe_does_not(
    pointsman: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.put(service(), rollout("r1", "rolled_back"))
    plain = pointsman("rollouts", "list").out
    assert "\x1b" not in plain
    _on_a_terminal(monkeypatch)
    coloured = pointsman("rollouts", "list").out
    assert "\x1b[31mrolled_back\x1b[0m" in coloured
    assert coloured.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain


def test_no_color_is_respected(pointsman: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.put(service(), rollout("r1", "rolled_back"))
    _on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in pointsman("rollouts", "list").out


def test_what_others_wrote_cannot_break_a_table_or_a_terminal(pointsman: Any, ledger: Any) -> None:
    ledger.put(event("a", reason="one\ntwo\x1b[2Jthree"))
    lines = pointsman("events", "list").lines
    assert len(lines) == 2
    assert lines[1].endswith("one two [2Jthree")


# --- as a shell runs it -------------------------------------------------------------------------------------------


def _started(*words: str, **pipes: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pointsman_cli", *words]
    return subprocess.Popen(command, env=dict(os.environ), text=True, stderr=subprocess.PIPE, **pipes)


def test_ctrl_c_is_status_130_without_a_word(ledger: Any) -> None:
    ledger.put(service())
    process = _started("status", "--watch", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("NAMESPACE")
    assert process.stdout.readline().startswith("demo")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, "", "")


def test_a_pipe_that_is_closed_ends_it_without_a_word(ledger: Any) -> None:
    ledger.put(*(event(f"e{number}", reason="x" * 200) for number in range(600)))  # more than a pipe holds
    process = _started("events", "list", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(20) == 1


def test_commands_that_read_load_no_google_client(ledger: Any) -> None:
    """Each costs 200 ms: a person waits for it at every call."""
    script = (
        "import sys; sys.argv = ['pointsman', 'status']\n"
        "from pointsman_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('grpc', 'google.auth', 'kubernetes', 'pydantic', 'rich') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"


def test_the_fixture_runs_the_command_that_is_installed() -> None:
    run: Callable[..., Any] = subprocess.run
    ran = run([Path(sys.executable).with_name("pointsman"), "--version"], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout[:10]) == (0, "pointsman,")
