"""`apply` and `destroy`: what is asked of Terraform and of the person, and what is said afterwards."""

import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.bootstrap.conftest import Answering
from tests.bootstrap.recorded import HERE, LOCATION, PROJECT, changed, healthy, site_of

from pointsman_cli.bootstrap.archive import archive
from pointsman_cli.bootstrap.inventory import place
from pointsman_cli.bootstrap.planning import existing
from pointsman_cli.main import main

FUNCTIONS = f"cloudfunctions.googleapis.com/v2/{HERE}/functions"

SCRIPT = """#!/bin/sh
if [ "$1" = version ]; then echo '{"terraform_version": "'"${TF_VERSION:-1.11.4}"'"}'; exit 0; fi
echo "$PWD $*" >> "$TF_LOG_FILE"
echo "Terraform says $1"
case "$1" in plan) exit ${TF_PLAN:-2};; apply) exit ${TF_APPLY:-0};; esac
"""

TF = 'variable "project" {}\nvariable "archive" {}\nvariable "location" {}\nvariable "cluster" {}\n'


class Typed:
    """A Terraform that only writes down what was asked of it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self._log = log

    @property
    def asked(self) -> list[list[str]]:
        """Verb and arguments of each call."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        assert all(line.startswith(f"{self.folder} ") for line in lines)
        return [line.removeprefix(f"{self.folder} ").split(" ") for line in lines]

    @property
    def verbs(self) -> list[str]:
        return [call[0] for call in self.asked]


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    programs, folder = tmp_path / "bin", (tmp_path / "root").resolve()
    programs.mkdir()
    folder.mkdir()
    (folder / "main.tf").write_text(TF)
    (programs / "terraform").write_text(SCRIPT)
    (programs / "terraform").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TF_LOG_FILE", str(tmp_path / "log"))
    return Typed(folder, tmp_path / "log")


def test_apply_builds_the_archive_plans_applies_and_looks(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.tfvars"
    mine.write_text('repository = "https://github.com/example/models.git"\n')
    digest = sha256(archive()).hexdigest()
    google.answers = changed(
        healthy(),
        FUNCTIONS,
        lambda body: [
            item["buildConfig"]["source"]["storageSource"].update(object=f"functions-{digest}.zip")
            for item in body["functions"]
        ],
    )
    status, out, err = bootstrap("apply", "--yes", "--dir", terraform.folder, "--var-file", mine)
    zipped, plan = (
        terraform.folder / ".terraform/pointsman-functions.zip",
        terraform.folder / ".terraform/pointsman.tfplan",
    )
    assert status == 0, out
    assert terraform.asked == [
        ["init", "-no-color", "-input=false"],
        [
            "plan",
            "-no-color",
            "-input=false",
            "-detailed-exitcode",
            f"-out={plan}",
            f"-var-file={mine}",
            f"-var=project={PROJECT}",
            f"-var=location={LOCATION}",
            "-var=cluster=serving",
            f"-var=archive={zipped}",
        ],
        ["apply", "-no-color", "-input=false", str(plan)],
    ]
    assert sha256(zipped.read_bytes()).hexdigest() == digest
    assert out.splitlines()[-1] == "39 ok"
    assert "pointsman bootstrap rbac | kubectl apply -f -" in err


def test_what_terraform_says_is_shown(
    google: Answering, terraform: Typed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["apply", "--yes", "--no-doctor", "--dir", str(terraform.folder)]
    monkeypatch.setattr(sys, "argv", ["pointsman", "bootstrap", *words])
    with pytest.raises(SystemExit):
        main()
    assert [line for line in capfd.readouterr().out.splitlines() if line.startswith("Terraform says")] == [
        "Terraform says init",
        "Terraform says plan",
        "Terraform says apply",
    ]


def test_a_plan_without_changes_is_not_applied(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLAN", "0")
    status, _, err = bootstrap("apply", "--yes", "--no-doctor", "--dir", terraform.folder)
    assert status == 0
    assert terraform.verbs == ["init", "plan"]
    assert "nothing to change" in err


def test_a_root_module_of_ones_own_is_told_only_what_it_asks_for(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any]
) -> None:
    (terraform.folder / "main.tf").write_text('variable "project" {}\nvariable "archive" {}\n')
    bootstrap("apply", "--yes", "--no-doctor", "--dir", terraform.folder)
    said = [word.split("=")[1] for word in terraform.asked[1] if word.startswith("-var=")]
    assert said == ["project", "archive"]


@pytest.mark.parametrize(("verb", "variable"), [("plan", "TF_PLAN"), ("apply", "TF_APPLY")])
def test_what_terraform_refuses_ends_it_there(
    verb: str,
    variable: str,
    google: Answering,
    terraform: Typed,
    bootstrap: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, "1")
    status, _, err = bootstrap("apply", "--yes", "--dir", terraform.folder)
    assert status == 4
    assert terraform.verbs[-1] == verb
    assert f"terraform {verb} ended with 1" in err


@pytest.mark.parametrize("verb", ["apply", "destroy"])
def test_without_a_terminal_nothing_is_asked_and_nothing_begun(
    verb: str, google: Answering, terraform: Typed, bootstrap: Callable[..., Any]
) -> None:
    status, _, err = bootstrap(verb, "--dir", terraform.folder)
    assert status == 2
    assert "say --yes" in err
    assert terraform.asked == []


def test_a_terminal_is_asked_once_the_plan_is_known(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "n")
    status, _, _ = bootstrap("apply", "--dir", terraform.folder)
    assert status == 130
    assert terraform.verbs == ["init", "plan"]


def test_without_terraform_it_is_said_what_to_install(
    google: Answering, bootstrap: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = bootstrap("apply", "--yes")
    assert status == 1
    assert "terraform is not installed — install Terraform 1.7 or newer: https://" in err


def test_a_terraform_that_is_too_old_is_refused(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VERSION", "1.5.7")
    status, _, err = bootstrap("apply", "--yes", "--dir", terraform.folder)
    assert status == 1
    assert "terraform is 1.5.7" in err


def test_a_folder_without_terraform_files_is_refused(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any], tmp_path: Path
) -> None:
    status, _, err = bootstrap("apply", "--yes", "--dir", tmp_path)
    assert status == 1
    assert "there are no Terraform files" in err


# --- destroy -----------------------------------------------------------------------------------------------------


def test_destroy_takes_all_away_and_says_so(google: Answering, terraform: Typed, bootstrap: Callable[..., Any]) -> None:
    google.answers = {}
    status, out, _ = bootstrap("destroy", "--yes", "--dir", terraform.folder)
    assert status == 0
    assert terraform.verbs == ["init", "plan", "apply"]
    assert "-destroy" in terraform.asked[1]
    assert out.splitlines()[0] == f"nothing of pointsman is left in {PROJECT}"


def test_what_remains_is_named_with_what_takes_it_away(
    google: Answering, terraform: Typed, bootstrap: Callable[..., Any]
) -> None:
    database = f"firestore.googleapis.com/v1/projects/{PROJECT}/databases/pointsman"
    topic = f"pubsub.googleapis.com/v1/projects/{PROJECT}/topics/notices"
    google.answers = {database: {}, topic: (403, {"error": {"message": "you may not look"}})}
    status, out, _ = bootstrap("destroy", "--yes", "--dir", terraform.folder)
    assert status == 1
    assert [line.split("   ") for line in out.splitlines() if not line.startswith(" ")][:3] == [
        ["LEFT", "", "", "", "", "  NAME", "", "  WHY"],
        ["topic", "", "", "", "", " notices", "  not known: you may not look"],
        ["Firestore database", "pointsman", "it is there"],
    ]
    assert f"  gcloud firestore databases delete --database=pointsman --project={PROJECT}\n" in out


def test_everything_that_is_made_is_asked_for_by_its_name() -> None:
    site = site_of({})
    without = {kind for kind, name in existing(site.estate) if not place(site, kind, name)[0]}
    assert without == {"alert policy", "backup schedule", "notification channel"}  # they have numbers
