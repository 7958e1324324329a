"""`pointsman validate`: what it prints, on which stream, and with which exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dulwich import porcelain

from pointsman_cli.main import cli

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*arguments: str | Path) -> tuple[int, Result]:
    """The exit status as `pointsman` gives it, and what was printed."""
    result = CliRunner().invoke(cli, ["validate", *map(str, arguments)], standalone_mode=False)
    if isinstance(result.exception, Exception):
        raise result.exception
    return (result.return_value if result.exception is None else result.exit_code), result


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the demo's repository."""
    for path in (EXAMPLES / "demo").rglob("*.yaml"):
        copy = tmp_path / path.relative_to(EXAMPLES / "demo")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["demo", "platform"])
def test_a_repository_without_fault_exits_0(name: str) -> None:
    status, result = run(EXAMPLES / name)
    assert (status, result.stdout) == (0, "")
    assert result.stderr.endswith("documents, no fault\n")


def test_a_fault_is_one_line_with_its_place_and_remedy_and_exits_1(repository: Path) -> None:
    replace(repository / "teams/demo/digits.yaml", "uri:", "url:")
    replace(repository / "pools.yaml", "max: 6", "max: 0")
    status, result = run(repository)
    assert status == 1
    assert result.stdout.splitlines() == [
        "pools.yaml:9:11 spec.nodes.max: 0 is less than 1 — choose a value within the bounds",
        'teams/demo/digits.yaml:7:5 spec.model.url: unknown field — did you mean "uri"?',
    ]
    assert result.stderr == "2 faults in 2 files\n"


def test_json_is_what_programs_read(repository: Path) -> None:
    replace(repository / "teams/demo/digits.yaml", "uri:", "url:")
    status, result = run(repository, "-o", "json")
    assert status == 1
    assert json.loads(result.stdout) == {
        "documents": 3,
        "faults": [
            {
                "code": "unknown-field",
                "file": "teams/demo/digits.yaml",
                "line": 7,
                "column": 5,
                "path": "spec.model.url",
                "problem": "unknown field",
                "remedy": 'did you mean "uri"?',
                "nearest": "uri",
            }
        ],
    }


def test_a_single_file_is_judged_by_itself(repository: Path) -> None:
    service = repository / "teams/demo/digits.yaml"
    replace(service, "  template:", "  pool: elsewhere\n  template:")
    assert run(service)[0] == 0
    replace(service, "python:3.12-slim", "python")
    status, result = run(service)
    assert status == 1
    assert result.stdout.startswith("digits.yaml:13:11 spec.template.spec.containers[0].image: no tag")


def test_the_branch_is_checked_when_it_is_said(repository: Path) -> None:
    replace(repository / "platform.yaml", "spec:\n", "spec:\n  branch: main\n")
    assert run(repository, "--branch", "main")[0] == 0
    status, result = run(repository, "--branch", "staging")
    assert status == 1
    assert result.stdout.startswith('platform.yaml:9:3 spec.branch: "main", but this is the head of "staging"')


def test_what_is_immutable_is_compared_with_a_commit(repository: Path) -> None:
    git = porcelain.init(str(repository))
    porcelain.add(git, [str(path) for path in repository.rglob("*.yaml")])
    porcelain.commit(git, message=b"first", author=b"A <a@example.com>", committer=b"A <a@example.com>")
    git.close()
    assert run(repository, "--against", "HEAD")[0] == 0
    more = "clusters:\n    - {name: other, location: us-east1}\n"
    replace(repository / "platform.yaml", "clusters:\n", more)
    status, result = run(repository, "--against", "HEAD")
    assert status == 1
    assert [line.split(" ")[1] for line in result.stdout.splitlines()] == [
        "spec.namespaces[0].cluster:",
        "spec.cluster:",
    ]


@pytest.mark.parametrize("arguments", [["nowhere"], [".", "--against", "HEAD"], [".", "-o", "xml"]])
def test_wrong_usage_exits_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["validate", *arguments])
    assert result.exit_code == 2


def test_what_lies_below_git_is_not_a_document(repository: Path) -> None:
    (repository / ".git").mkdir()
    (repository / ".git" / "x.yaml").write_text("apiVersion: pointsman.dev/v1\nkind: [\n")
    (repository / "link.yaml").symlink_to(repository / "pools.yaml")
    assert run(repository)[0] == 0
