"""`pointsman plan`: what a commit or a folder would change, for people and for programs. Nothing is done."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.ledger_samples import event, head

from pointsman.core.changes import placement
from pointsman.core.names import Commit
from pointsman.core.records import RevisionStatus, ServiceRecord
from pointsman.documents import load
from pointsman.documents.effective import effective
from pointsman.errors import Absent

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo"
FILES = {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in DEMO.rglob("*.yaml")}
SERVICE = "teams/demo/digits.yaml"
FIRST, SECOND, BROKEN = (Commit(f"{digit}{'0' * 39}") for digit in "abc")
V2 = FILES[SERVICE].replace(b"digits/v1", b"digits/v2")


# --- a folder -----------------------------------------------------------------------------------------------------


def revision_of(found: Mapping[str, Any]) -> str:
    return str(found["changes"][0]["to"])


def planned(pointsman: Any, *words: str | Path) -> Any:
    ran = pointsman("plan", *words, "-o", "json")
    assert (ran.status, ran.err) == (0, "")
    return json.loads(ran.out)


def test_a_first_deployment_for_people(pointsman: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_POOLS", "full")
    name = revision_of(planned(pointsman, DEMO))
    ran = pointsman("plan", DEMO)
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines == [
        "demo/digits: roll out, first deployment",
        f"  revision   - → {name}",
        f"  objects    Service {name}, Deployment {name}, PodDisruptionBudget {name}, PodMonitoring {name}, "
        f"HealthCheckPolicy {name}, HTTPRoute digits",
        "  machines   e2-standard-4 Reservation, 0.13 USD an hour each",
    ]


def test_a_first_deployment_for_programs(pointsman: Any, ledger: Any) -> None:
    found = planned(pointsman, DEMO)
    assert set(found) == {"commit", "changes", "documents"}
    assert found["commit"] == str(DEMO)
    (change,) = found["changes"]
    assert set(change) >= {"service", "from", "to", "steps", "objects", "cost_class"}
    assert (change["service"], change["from"], change["steps"]) == ("demo/digits", None, [])
    assert change["to"].startswith("digits-")
    assert {"apiVersion": "apps/v1", "kind": "Deployment", "name": change["to"]} in change["objects"]
    assert {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "name": "digits",
    } in change["objects"]
    assert change["cost_class"] == "e2-standard-4 Reservation, 0.13 USD an hour each"


def test_documents_are_whole_with_the_origin_of_every_value(pointsman: Any, ledger: Any) -> None:
    documents = {(item["kind"], item["name"]): item for item in planned(pointsman, DEMO)["documents"]}
    assert set(documents) == {("Platform", "demo"), ("AcceleratorPool", "cpu"), ("ModelService", "digits")}
    service = documents["ModelService", "digits"]
    assert set(service) >= {"kind", "namespace", "name", "effective", "origins"}
    assert service["namespace"] == "demo"
    whole = service["effective"]
    assert whole["pool"]["name"] == "cpu"
    assert [step["weight"] for step in whole["policy"]["steps"]] == [5, 25, 50]
    origins = service["origins"]
    assert "platform.yaml" in origins["requestTimeout"] or "Platform" in origins["requestTimeout"]
    assert all(isinstance(path, str) and isinstance(place, str) for path, place in origins.items())


def test_yaml_says_what_json_says(pointsman: Any, ledger: Any) -> None:
    assert yaml.safe_load(pointsman("plan", DEMO, "-o", "yaml").out) == planned(pointsman, DEMO)


def test_nothing_is_done(pointsman: Any, ledger: Any) -> None:
    planned(pointsman, DEMO)
    assert not ledger.find(ServiceRecord)


def serving(files: Mapping[str, bytes], revision: str) -> ServiceRecord:
    """The service as a rollout of these documents left it."""
    loaded = load(files)
    assert loaded.config is not None
    (wanted,) = effective(loaded.config, project="lab", region="us-central1").values()
    status = RevisionStatus("warm", head().applied_at, good=True)
    record = ServiceRecord("local", "demo", "digits", stable=revision, revisions={revision: status})
    return replace(record, placement=placement(wanted))


def test_a_second_version_walks_the_policys_steps(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    first = revision_of(planned(pointsman, DEMO))
    ledger.put(serving(FILES, first))
    folder = written(tmp_path, {**FILES, SERVICE: V2})
    (change,) = planned(pointsman, folder)["changes"]
    assert (change["from"], change["to"] != first) == (first, True)
    assert change["steps"] == [
        {"weight": 5, "hold": "6s"},
        {"weight": 25, "hold": "6s"},
        {"weight": 50, "hold": "6s"},
        {"weight": 98, "hold": "8s", "bake": True},
        {"weight": 100},
    ]
    lines = pointsman("plan", folder).lines
    assert f"  revision   {first} → {change['to']}" in lines
    assert "  steps      5 % for 6s → 25 % for 6s → 50 % for 6s → 98 % baking 8s → 100 %" in lines


def test_what_is_served_already_would_change_nothing(pointsman: Any, ledger: Any) -> None:
    ledger.put(serving(FILES, revision_of(planned(pointsman, DEMO))))
    assert planned(pointsman, DEMO)["changes"] == []
    assert pointsman("plan", DEMO).lines == [f"{DEMO}: 3 documents, nothing would change"]


def test_a_service_without_a_document_is_left_as_it_is(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    ledger.put(serving(FILES, "digits-00000000"))
    folder = written(tmp_path, {name: content for name, content in FILES.items() if name != SERVICE})
    assert pointsman("plan", folder).lines == [
        "demo/digits: orphaned, its document is gone; it is left as it is until `pointsman delete digits -n demo`"
    ]


def test_pools_that_are_not_touched_are_a_warning(pointsman: Any, ledger: Any) -> None:
    (warning,) = planned(pointsman, DEMO)["changes"][0]["warnings"]
    assert warning.startswith("POINTSMAN_POOLS is observe: node pools are not touched")


# --- faults -------------------------------------------------------------------------------------------------------


def broken() -> dict[str, bytes]:
    return {**FILES, SERVICE: FILES[SERVICE].replace(b"uri:", b"url:")}


FAULT = 'teams/demo/digits.yaml:7:5 spec.model.url: unknown field — did you mean "uri"?'


def test_a_broken_folder_shows_every_fault_and_is_status_1(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    folder = written(tmp_path, broken())
    ran = pointsman("plan", folder)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        FAULT,
        f"error: 1 fault, {folder} would apply nothing — mend and push again",
    ]


def test_programs_get_the_faults_as_objects(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    folder = written(tmp_path, broken())
    ran = pointsman("plan", folder, "-o", "json")
    assert ran.status == 1
    found = json.loads(ran.out)
    assert found["commit"] == str(folder)
    (fault,) = found["faults"]
    assert (fault["file"], fault["line"], fault["path"]) == (SERVICE, 7, "spec.model.url")


def test_an_empty_folder_is_no_repository(pointsman: Any, ledger: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = pointsman("plan", tmp_path / "empty")
    assert ran.status == 1
    assert "Platform: the repository has none" in ran.err


# --- a commit -----------------------------------------------------------------------------------------------------


class FakeSource:
    """A config repository with a few commits, of which `main` names the second."""

    def __init__(self) -> None:
        self.commits: dict[str, Mapping[str, bytes]] = {FIRST: FILES, SECOND: {**FILES, SERVICE: V2}, BROKEN: broken()}
        self.branches = {"main": SECOND, "try": BROKEN}

    def heads(self, repository: str) -> Mapping[str, Commit]:
        return self.branches

    def files(self, repository: str, commit: Commit) -> Mapping[str, bytes]:
        if commit not in self.commits:
            raise Absent(f"no commit {commit}", where=repository)
        return self.commits[commit]


@pytest.fixture
def source(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    source = FakeSource()
    monkeypatch.setenv("POINTSMAN_REPOSITORY", "https://github.com/acme/config.git")
    monkeypatch.setattr("pointsman.adapters.git.connect", lambda settings, token: source)
    return source


@pytest.mark.parametrize("name", ["main", SECOND, SECOND[:7], SECOND[:12]])
def test_a_commit_is_named_by_its_branch_itself_or_its_start(pointsman: Any, source: FakeSource, name: str) -> None:
    found = planned(pointsman, name)
    assert found["commit"] == SECOND
    assert found["documents"][0]["effective"]["model"]["uri"] == "file:///models/digits/v2"


def test_a_commit_that_an_event_told_of_is_found_by_its_start(pointsman: Any, source: FakeSource, ledger: Any) -> None:
    assert pointsman("plan", FIRST[:12]).status == 1
    ledger.put(event("a", subject=f"refs/heads/main@{FIRST}"))
    assert planned(pointsman, FIRST[:12])["commit"] == FIRST


@pytest.mark.parametrize("name", ["nowhere", "deadbeef", SECOND[:6] + "f"])
def test_what_is_no_commit_is_answered_with_the_branches(pointsman: Any, source: FakeSource, name: str) -> None:
    ran = pointsman("plan", name)
    assert ran.status == 1
    assert ran.err == f"error: {name} is no folder, branch or commit that was pushed — branches: main, try\n"


def test_a_start_that_several_commits_have_is_refused(pointsman: Any, source: FakeSource, ledger: Any) -> None:
    source.branches["other"] = Commit(SECOND[:39] + "1")
    assert pointsman("plan", SECOND[:12]).err == f"error: 2 commits begin with {SECOND[:12]} — give more of it\n"


def test_a_broken_commit_of_any_branch_shows_its_faults(pointsman: Any, source: FakeSource) -> None:
    ran = pointsman("plan", "try")
    assert ran.err.splitlines() == [FAULT, f"error: 1 fault, {BROKEN} would apply nothing — mend and push again"]


def test_a_commit_is_held_against_what_was_applied_last(pointsman: Any, source: FakeSource, ledger: Any) -> None:
    """That a pool moves to another cluster can be seen only beside the commit before."""
    local = b"- {name: local, location: us-central1}"
    both = FILES["platform.yaml"].replace(local, local + b"\n    - {name: far, location: us-east1}")
    first = {"platform.yaml": both, "pools.yaml": FILES["pools.yaml"]}
    moved = {**first, "pools.yaml": FILES["pools.yaml"].replace(b"spec:", b"spec:\n  cluster: far")}
    source.commits |= {FIRST: first, SECOND: moved}
    ledger.put(head(commit=FIRST))
    ran = pointsman("plan", "main")
    assert ran.status == 1
    assert ran.err.startswith("pools.yaml:9:3 spec.cluster: was local")
    source.commits.pop(FIRST)  # gone by a forced push: nothing is held against it
    assert pointsman("plan", "main").status == 0


def test_a_platform_of_another_branch_is_refused(
    pointsman: Any, source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = FILES["platform.yaml"].replace(b"spec:", b"spec:\n  branch: main")
    source.commits[SECOND] = {**FILES, "platform.yaml": platform}
    assert pointsman("plan", "main").status == 0
    monkeypatch.setenv("POINTSMAN_BRANCH", "release")
    ran = pointsman("plan", "main")
    assert ran.status == 1
    assert ran.err.startswith("platform.yaml:")
    assert "release" in ran.err


def written(root: Path, files: Mapping[str, bytes]) -> Path:
    folder = root / "config"
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
