"""`pointsman workflows run`: what it prints, and its exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pointsman_cli.workflows import command


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def invoke(source: str, *arguments: str) -> Result:
        file = tmp_path / "mine.yaml"
        file.write_text(source)
        return CliRunner().invoke(command, ["run", str(file), *arguments], standalone_mode=False)

    return invoke


ECHO = """
main:
  params: [args]
  steps:
    - log: {call: sys.log, args: {text: "about to answer", severity: INFO}}
    - wait: {call: sys.sleep, args: {seconds: 86400}}
    - answer:
        return:
          args: ${args}
          env: ${sys.get_env("MINE", "unset")}
          id: ${sys.get_env("GOOGLE_CLOUD_WORKFLOW_ID")}
"""


def test_success_is_one_json_object_and_status_0(run: Any) -> None:
    done = run(ECHO, "--data", '{"a": [1, null]}', "--env", "MINE=x=y")
    assert done.return_value == 0
    assert json.loads(done.stdout) == {
        "state": "SUCCEEDED",
        "result": {"args": {"a": [1, None]}, "env": "x=y", "id": "mine"},
        "error": None,
    }
    assert done.stderr == "INFO about to answer\n"


def test_a_built_in_variable_can_be_given(run: Any) -> None:
    done = run("- a: {return: '${sys.get_env(\"GOOGLE_CLOUD_PROJECT_ID\")}'}", "--env", "GOOGLE_CLOUD_PROJECT_ID=mine")
    assert json.loads(done.stdout)["result"] == "mine"


def test_half_a_character_is_printed_as_the_replacement_character(run: Any) -> None:
    done = run("main: {params: [x], steps: [{a: {return: '${x}'}}]}", "--data", '"\\ud800"')
    assert json.loads(done.stdout)["result"] == "\ufffd"
    done = run('[{"a":\t{"raise": "\\udfff"}}]')
    assert json.loads(done.stdout)["error"]["payload"] == "\ufffd"


def test_failure_has_payload_and_context_and_status_1(run: Any) -> None:
    done = run("- bad:\n    raise: {code: 7, message: oh, tags: [Mine]}\n")
    assert done.return_value == 1
    assert json.loads(done.stdout) == {
        "state": "FAILED",
        "result": None,
        "error": {
            "payload": {"code": 7, "message": "oh", "tags": ["Mine"]},
            "context": 'oh\nin step "bad", routine "main", line: 2',
        },
    }


def test_a_raised_string_is_the_payload_itself(run: Any) -> None:
    assert json.loads(run("- bad: {raise: text}").stdout)["error"]["payload"] == "text"


def test_refused_at_deployment_is_status_3_and_says_where(run: Any, tmp_path: Path) -> None:
    done = run('- step1:\n    assign:\n    - varA: "Hello"\n- step2:\n    return: ${varC + varA}\n')
    assert done.return_value == 3
    message = (
        "failed to build: error in step step2: error evaluating return value: symbol 'varC' is neither a variable"
        " nor a sub-workflow name"
    )
    assert json.loads(done.stdout) == {"deployError": {"code": 3, "message": f"{message} (Code: 3)"}}
    assert done.stderr == f"{tmp_path / 'mine.yaml'}:5:13: {message}\n"


def test_a_table_for_people(run: Any) -> None:
    assert run("- a: {return: [1, text]}", "-o", "table").stdout == 'STATE    SUCCEEDED\nRESULT   [1, "text"]\n'
    done = run("- a:\n    raise: no\n", "-o", "table")
    assert done.return_value == 1
    assert done.stdout == (
        'STATE    FAILED\nERROR    "no"\nCONTEXT  RuntimeError: "no"\n         in step "a", routine "main", line: 2\n'
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "{"),
        ("--data", '"' + "x" * 40_000 + '"'),
        ("--env", "NOVALUE"),
        ("--env", "=x"),
        ("--env", "GOOGLE_MINE=x"),
        ("--env", "WORKFLOWS_MINE=x"),
        ("--env", f"LARGE={'x' * 4097}"),
        tuple(part for number in range(21) for part in ("--env", f"V{number}=x")),
        ("--data", "1e999"),
        ("-o", "xml"),
        ("--unknown",),
    ],
)
def test_wrong_usage_is_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("- a: {return: 1}")
    assert CliRunner().invoke(command, ["run", str(file), *arguments]).exit_code == 2


def test_a_file_that_is_not_there_or_not_text_is_status_2(tmp_path: Path) -> None:
    assert CliRunner().invoke(command, ["run", str(tmp_path / "none.yaml")]).exit_code == 2
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert CliRunner().invoke(command, ["run", str(tmp_path / "binary.yaml")]).exit_code == 2


def test_bytes_in_an_error_are_base64(run: Any) -> None:
    done = run("- a: {raise: {raw: '${text.encode(\"hi\")}'}}")
    assert json.loads(done.stdout)["error"]["payload"] == {"raw": "aGk="}
