"""Whole workflows that end as the language's reference says, features beside one another: `documented.yaml`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def cases() -> Iterator[Any]:
    """Each opens with comments: what it shows, its argument if it takes one, its result."""
    for source in (Path(__file__).parent / "documented.yaml").read_text(encoding="utf-8").split("\n---\n"):
        title, *comments = [line.removeprefix("# ") for line in source.splitlines() if line.startswith("# ")]
        told = {name: json.loads(text) for name, text in (comment.split(": ", 1) for comment in comments)}
        yield pytest.param(source, told.get("argument"), told["result"], id=title.replace(" ", "-"))


@pytest.mark.parametrize(("source", "argument", "result"), [*cases()])
def test_ends_as_documented(run: Any, source: str, argument: Any, result: Any) -> None:
    ended = run(source, argument)
    assert ended.refused is None
    assert ended.context is None
    assert ended.result == result
