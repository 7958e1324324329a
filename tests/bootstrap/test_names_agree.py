"""A name that is taken out of one place is missed in another, and the finding says where."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.bootstrap.agreement import MAIN, TABLE, TOPOLOGY, findings, texts

WHOLE = texts()
GONE = "gone"


def test_all_names_agree() -> None:
    assert list(findings(WHOLE)) == []


def _without() -> Iterator[tuple[str, str, str]]:
    """What is taken out, the file that it is taken out of, and the file's text without it."""
    for name, text in _topology():
        yield name, TOPOLOGY, text
    for right in yaml.safe_load(WHOLE[TABLE])["rights"]:
        yield right, TABLE, re.sub(rf"^  {right}:", f"  {GONE}:", WHOLE[TABLE], count=1, flags=re.M)
    for name in re.findall(r"^@entry\ndef (\w+)", WHOLE[MAIN], re.M):
        yield name, MAIN, WHOLE[MAIN].replace(f"def {name}(", f"def {GONE}(")
    for path, text in WHOLE.items():
        if path.startswith("workflows/"):
            for name in sorted(set(re.findall(r'get_env\("([A-Z_]+_URL)"', text))):
                yield name, path, text.replace(name, "GONE_URL")
            for name in sorted(set(re.findall(r'workflows \+ "([\w-]+)"', text))):
                yield name, path, text.replace(f'"{name}"', f'"{GONE}"')
        elif path.endswith(".tf"):
            for declared in re.findall(r'^(?:resource|variable|output|module|data) (?:"\w+" )?"\w+"', text, re.M):
                name = declared.rpartition(" ")[2].strip('"')
                yield name, path, text.replace(declared, declared.replace(f'"{name}"', f'"{GONE}"'))
            for body in re.findall(r"^locals \{$(.*?)^\}$", text, re.S | re.M):
                for name in re.findall(r"^  (\w+) +=", body, re.M):
                    yield name, path, re.sub(rf"^  {name} ", f"  {GONE} ", text, flags=re.M)
        elif path.startswith("dashboards/alerts"):
            for name in ("pointsman_alert", "pointsman_group", "display_name", "severity", "runbook"):
                yield name, path, text.replace(name, GONE)
        elif path.startswith("dashboards/cloud"):
            for name in sorted(set(re.findall(r'"title": "([^"]+)"', text))):
                yield name, path, text.replace(f'"title": "{name}"', f'"title": "{GONE}"')
        elif path == "dashboards/log-metrics.yaml":
            for name in re.findall(r"^- name: (\S+)", text, re.M):
                yield name, path, text.replace(f"- name: {name}\n", f"- name: pointsman/{GONE}\n")


def _topology() -> Iterator[tuple[str, str]]:
    """Every key, and every word of every list, of the topology, each taken out alone."""

    def walk(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        if isinstance(value, dict):
            for name, item in value.items():
                yield (*path, name)
                yield from walk(item, (*path, name))
        elif isinstance(value, list):
            yield from ((*path, number) for number in range(len(value)))

    whole = yaml.safe_load(WHOLE[TOPOLOGY])
    for path in walk(whole, ()):
        if path != ("version",):
            spoilt = yaml.safe_load(WHOLE[TOPOLOGY])
            inner = spoilt
            for name in path[:-1]:
                inner = inner[name]
            said = ".".join(map(str, path[:-1])) + f".{inner[path[-1]] if isinstance(inner, list) else path[-1]}"
            del inner[path[-1]]
            yield said, yaml.safe_dump(spoilt, sort_keys=False)


TAKEN = list(_without())


def test_enough_is_taken_out() -> None:
    kinds = {path.partition("/")[0] for _, path, _ in TAKEN}
    assert kinds == {"bootstrap", "functions", "workflows", "dashboards"}
    assert len(TAKEN) > 300


@pytest.mark.parametrize("number", range(0, len(TAKEN), 20))
def test_what_is_taken_out_is_missed(number: int) -> None:
    unmissed = []
    for name, path, text in TAKEN[number : number + 20]:
        assert text != WHOLE[path], (name, path)
        if next(findings({**WHOLE, path: text}), None) is None:
            unmissed.append((name, path))
    assert unmissed == []


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        pytest.param(MAIN, "def on_alert(", "def on_alarm(", f"{MAIN}: no entry point on_alert", id="entry-point"),
        pytest.param(
            TOPOLOGY,
            "  notices: {}\n",
            "",
            f"{TOPOLOGY}: notify is reached by topic notices, which is none",
            id="topic",
        ),
        pytest.param(
            TOPOLOGY,
            "kind, namespace]}",
            "kind]}",
            f"{TOPOLOGY}: ledger.collections.documents is searched by ('kind', 'namespace')",
            id="index",
        ),
        pytest.param(
            "workflows/roll-out.yaml",
            "ROLLOUT_STEP_URL",
            "STEP_URL",
            "workflows/roll-out.yaml: asks for ['STEP_URL'], is given ['ROLLOUT_STEP_URL']",
            id="variable-of-a-workflow",
        ),
        pytest.param(
            "bootstrap/terraform/schedule.tf",
            'resource "google_cloud_scheduler_job" "schedule"',
            'resource "google_cloud_scheduler_job" "clock"',
            "bootstrap/terraform/: no google_cloud_scheduler_job.schedule",
            id="resource",
        ),
        pytest.param(
            "dashboards/alerts/dead-letters.yaml",
            "pointsman_alert",
            "alert",
            "dashboards/alerts/dead-letters.yaml: differs from what python -m dashboards writes",
            id="label-of-an-alert",
        ),
    ],
)
def test_the_finding_says_where(path: str, before: str, after: str, said: str) -> None:
    assert before in WHOLE[path]
    assert said in findings({**WHOLE, path: WHOLE[path].replace(before, after)})
