"""The documents are true: what they name exists, and what they tell people to type is a command."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pointsman_cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix() for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if page.is_file()
)
FOLDERS = (
    "functions/",
    "workflows/",
    "bootstrap/",
    "cli/",
    "local/",
    "schemas/",
    "examples/",
    "docs/",
    "dashboards/",
    "tests/",
)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"`([\w./-]+)`", (ROOT / page).read_text()))
    paths = {name for name in named if name.startswith(FOLDERS)}
    assert not sorted(name for name in paths if not (ROOT / name).exists())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_repository_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", (ROOT / page).read_text())
    inside = [link for link in links if "://" not in link]
    assert not [link for link in inside if not ((ROOT / page).parent / link).exists()]


def commands(page: str) -> list[str]:
    """Lines in shell blocks, and inline code, that call `pointsman`."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(pointsman [^`]+)`", text)
    found = [re.search(r"(?:^|/|\()(pointsman [^#|)]*)", line) for line in lines]
    return [match.group(1).strip().rstrip('"') for match in found if match]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_page_is_one_that_pointsman_has(page: str) -> None:
    for line in commands(page):
        _, *words = shlex.split(line)
        command: click.Command = cli
        context = click.Context(cli)
        for word in words:
            if not isinstance(command, click.Group):
                break
            found = command.get_command(context, word)
            assert found is not None, f"{page}: {line}"
            command = found
        options = {name for parameter in command.params for name in parameter.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert used <= options | {"-h", "--help"}, f"{page}: {line}"


def test_the_readme_says_the_two_commands_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= targets
