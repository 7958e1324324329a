"""The YAML that pages show is what the loader takes: the examples of a page are one repository."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.documents import load
from pointsman.documents.effective import effective

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "writing-services.md"
DEMO = ROOT / "examples" / "demo"


def repository(page: str) -> dict[str, bytes]:
    """The blocks of a page by the path in their first line."""
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL)
    return {path: text.encode() for path, text in blocks}


def parts(page: str) -> list[dict[str, Any]]:
    """Blocks that are a part of the Platform."""
    return [yaml.safe_load(text) for text in re.findall(r"```yaml part\n(.*?)```", page, re.DOTALL)]


def faults(files: Mapping[str, bytes]) -> list[str]:
    return [str(fault) for fault in load(files).faults]


def test_the_examples_of_the_page_are_a_repository_without_fault() -> None:
    files = repository(PAGE.read_text())
    assert len(files) > 5
    assert faults(files) == []


def test_every_block_of_the_page_says_where_it_lies_or_is_a_part() -> None:
    page = PAGE.read_text()
    assert page.count("```yaml") == len(repository(page)) + len(parts(page))


def test_every_service_of_the_page_comes_to_an_effective_document() -> None:
    config = load(repository(PAGE.read_text())).config
    assert config is not None
    services = effective(config, project="acme-ml-prod", region="us-central1")
    assert {name: service.policy_name for name, service in services.items()} == {
        "nlp/chat": "careful",
        "vision/detector": "triton",
        "vision/digits": None,
        "vision/scorer": None,
    }


@pytest.mark.parametrize("part", parts(PAGE.read_text()), ids=lambda part: "-".join(part["spec"]))
def test_a_part_of_a_platform_goes_into_the_one_of_the_page(part: dict[str, Any]) -> None:
    files = repository(PAGE.read_text())
    platform = yaml.safe_load(files["platform.yaml"])
    platform["spec"] |= part["spec"]
    assert faults({**files, "platform.yaml": yaml.safe_dump(platform).encode()}) == []


def test_the_shortest_service_of_the_readme_goes_into_the_demos_repository() -> None:
    (service,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    files = {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in DEMO.rglob("*.yaml")}
    assert faults({**files, "teams/demo/digits.yaml": service.encode()}) == []
