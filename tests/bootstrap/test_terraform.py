"""The Terraform by itself: its form, its own tests, and that mistakes in it are found, with Terraform and without."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests.bootstrap.terraform_run import known_schema, trial
from tools.terraform_standin import hcl
from tools.terraform_standin.cache import ROOT
from tools.terraform_standin.check import TERRAFORM, modules
from tools.terraform_standin.terraform import Terraform

pytestmark = pytest.mark.timeout(300)  # Terraform on a busy machine


@dataclass(frozen=True, slots=True)
class Mistake:
    """In `file`, `right` was written as `wrong`; who finds it says `said` by Terraform, `offline` without."""

    file: str
    right: str
    wrong: str
    said: str
    offline: str


MISTAKES = [
    pytest.param(
        Mistake(
            "function/main.tf",
            "available_memory ",
            "avaliable_memory ",
            'An argument named "avaliable_memory" is not expected here. Did you mean "available_memory"?',
            "google_cloudfunctions2_function.function.service_config: no argument avaliable_memory",
        ),
        id="misspelt-argument-in-a-block",
    ),
    pytest.param(
        Mistake(
            "workflows.tf",
            "call_log_level ",
            "call_loglevel ",
            'An argument named "call_loglevel" is not expected here. Did you mean "call_log_level"?',
            "google_workflows_workflow.workflow: no argument call_loglevel",
        ),
        id="misspelt-argument",
    ),
    pytest.param(
        Mistake(
            "ledger.tf",
            "  location_id                       = coalesce(var.ledger_location, var.location)\n",
            "",
            'The argument "location_id" is required',
            "google_firestore_database.ledger: location_id is missing",
        ),
        id="missing-argument",
    ),
    pytest.param(
        Mistake(
            "subscriptions.tf",
            "google_pubsub_topic.topic[each.key].id",
            "google_pubsub_topic.topics[each.key].id",
            'A managed resource "google_pubsub_topic" "topics" has not been declared',
            "google_pubsub_topic.topics is not declared",
        ),
        id="reference-to-nothing",
    ),
    pytest.param(
        Mistake(
            "schedule.tf",
            "local.scheduled",
            "local.schedules",
            'A local value with the name "schedules" has not been declared',
            "local.schedules is not declared",
        ),
        id="local-that-is-none",
    ),
    pytest.param(
        Mistake(
            "workflows.tf",
            '"EXECUTION_HISTORY_BASIC"',
            '"EXECUTION_HISTORY_PLAIN"',
            '"EXECUTION_HISTORY_PLAIN" is none of EXECUTION_HISTORY_LEVEL_UNSPECIFIED, EXECUTION_HISTORY_BASIC',
            "execution_history_level is EXECUTION_HISTORY_PLAIN, none of",
        ),
        id="enum",
    ),
    pytest.param(
        Mistake(
            "function/main.tf",
            '"ALLOW_ALL"',
            '"ALLOW_EVERYBODY"',
            '"ALLOW_EVERYBODY" is none of ALLOW_ALL, ALLOW_INTERNAL_ONLY, ALLOW_INTERNAL_AND_GCLB',
            "ingress_settings is ALLOW_EVERYBODY, none of",
        ),
        id="enum-in-a-block",
    ),
    pytest.param(
        Mistake(
            "topics.tf",
            'resource "google_pubsub_topic" ',
            'resource "google_pubsub_topik" ',
            'does not support resource type "google_pubsub_topik"',
            "google_pubsub_topik.topic: no such resource",
        ),
        id="kind-of-resource",
    ),
    pytest.param(
        Mistake(
            "subscriptions.tf",
            "  dead_letter_policy {",
            "  dead_letters {",
            'Blocks of type "dead_letters" are not expected here',
            "google_pubsub_subscription.push: no argument dead_letters",
        ),
        id="misspelt-block",
    ),
]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return trial(tmp_path_factory.mktemp("module"))


@pytest.fixture
def spoilt(module: Terraform, mistake: Mistake) -> Iterator[Terraform]:
    path = module.folder / mistake.file
    before = path.read_text()
    assert mistake.right in before
    path.write_text(before.replace(mistake.right, mistake.wrong))
    yield module
    path.write_text(before)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_terraform_finds_a_mistake_and_says_where(spoilt: Terraform, mistake: Mistake) -> None:
    faults = spoilt.faults()
    assert any(fault.startswith(f"{mistake.file}:") and mistake.said in " ".join(fault.split()) for fault in faults), (
        faults
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_found_without_terraform_too(mistake: Mistake, tmp_path: Path) -> None:
    file = TERRAFORM / mistake.file
    (tmp_path / file.name).write_text(file.read_text().replace(mistake.right, mistake.wrong))
    faults = hcl.faults({**_whole(file.parent), **hcl.parsed(tmp_path)}, known_schema())
    assert any(fault.startswith(f"{file.name}:") and mistake.offline in fault for fault in faults), faults


@pytest.mark.parametrize("folder", modules(), ids=lambda path: path.relative_to(TERRAFORM).as_posix())
def test_every_name_is_one_of_the_providers(folder: Path) -> None:
    assert hcl.faults(_whole(folder), known_schema()) == []


def test_it_is_formatted(module: Terraform) -> None:
    assert module.run("fmt", "-check", "-recursive", answers=(0, 3)).split() == []


def test_its_own_tests_pass(module: Terraform) -> None:
    assert "7 passed, 0 failed" in module.run("test", "-no-color")


def test_every_rule_of_checkov_that_is_skipped_is_skipped_with_a_reason() -> None:
    skipped = re.compile(r"#\s*checkov:skip=(\w*):?(.*)")
    found = [hit for path in TERRAFORM.rglob("*.tf") for hit in skipped.findall(path.read_text())]
    assert len(found) == 12
    assert [rule for rule, reason in found if len(reason.split()) < 4] == []


def test_nothing_of_terraforms_own_is_left_in_the_tree() -> None:
    names = [path.name for path in (ROOT / "bootstrap").rglob("*")]
    assert [name for name in names if "tfstate" in name or name.startswith(".terraform")] == []


@cache
def _whole(folder: Path) -> hcl.Module:
    """Parsed once: python-hcl2 takes a second for the module."""
    return hcl.parsed(folder)
