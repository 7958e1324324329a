"""A project as Google's APIs would describe it: the answers in `answers/healthy`, and what a test changes in them."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pointsman_cli.bootstrap.estate import account_email, estate
from pointsman_cli.bootstrap.rest import Google
from pointsman_cli.bootstrap.rights import rights
from pointsman_cli.bootstrap.site import Site

__all__ = ["ARCHIVE", "CLUSTER", "HERE", "LOCATION", "PROJECT", "Answers", "Recorded", "healthy", "site_of"]

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "acme-ml"
LOCATION = "us-central1"
HERE = f"projects/{PROJECT}/locations/{LOCATION}"
CLUSTER = f"{HERE}/clusters/serving"
ARCHIVE = "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea"
SECRETS = ("pointsman-webhooks", "pointsman-repository", "pointsman-slack")

ESTATE, RIGHTS = estate(ROOT), rights(ROOT)

Answers = dict[str, Any]
"""`HOST/PATH`, or `POST HOST/PATH` → the body of the answer; `(status, body)` where it is not 200."""


@cache
def healthy() -> Answers:
    """Not to be changed: `changed` gives a copy."""
    found: Answers = {}
    for file in sorted((ROOT / "tests" / "bootstrap" / "answers" / "healthy").glob("*.json")):
        for path, body in json.loads(file.read_text(), object_hook=_filled).items():
            post, _, rest = path.rpartition("POST ")
            found[f"POST {file.stem}{rest}" if post or path.startswith("POST ") else f"{file.stem}{path}"] = body
    return found


def _filled(item: dict[str, Any]) -> dict[str, Any]:
    """What stands in this repository is not written down a second time: workflow files, and what rights are whose."""
    for name, value in item.items():
        if isinstance(value, str) and value.startswith("@file "):
            item[name] = (ROOT / value.removeprefix("@file ")).read_text()
        elif isinstance(value, str) and value.startswith("@right "):
            item[name] = RIGHTS.rights[value.removeprefix("@right ")]["permissions"]
        elif isinstance(value, str) and value.startswith("@holders "):
            right = value.removeprefix("@holders ")
            holders = [name for name, may in ESTATE.holders if right in {one.partition(":")[0] for one in may}]
            item[name] = [f"serviceAccount:{account_email(name, PROJECT)}" for name in holders]
    return item


class Recorded(Google):
    """Google, answering from a table; what is asked is written down."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(PROJECT)
        self._answers = answers
        self.asked: list[str] = []

    def exchange(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        key = url.partition("?")[0] if method == "GET" else f"{method} {url}"
        self.asked.append(key)
        return answer(self._answers, key, body)


def answer(answers: Mapping[str, Any], key: str, body: bytes | None) -> tuple[int, bytes]:
    """Status and body; 404 for what is not in the table, as for a thing that is not there."""
    found = answers.get(key, (404, {"error": {"code": 404, "message": f"{key} was not found."}}))
    status, content = found if isinstance(found, tuple) else (200, found)
    if status == 200 and key.endswith("/subjectaccessreviews"):
        asked = json.loads(body or b"{}")["spec"]["resourceAttributes"]
        refused = [asked["namespace"], asked["resource"], asked["verb"]] in content["denied"]
        content = {"status": {"allowed": not refused}}
    if "run.app/" in key:  # our own code, or Google in its place
        return content["status"], content.get("body", "").encode()
    return status, json.dumps(content).encode()


def site_of(answers: Mapping[str, Any], **changes: Any) -> Site:
    settings: dict[str, Any] = {"cluster": CLUSTER, "secrets": SECRETS, "archive": ARCHIVE, **changes}
    return Site(
        google=Recorded(answers),
        estate=ESTATE,
        rights=RIGHTS,
        sources=ROOT,
        project=PROJECT,
        location=LOCATION,
        now=datetime(2026, 11, 28, 12, tzinfo=UTC),
        **settings,
    )


Change = Callable[[Any], object]


def changed(answers: Answers, key: str, change: Change) -> Answers:
    """The answers with one body changed in place."""
    assert key in answers, key
    assert urlsplit(f"//{key.removeprefix('POST ')}").hostname
    copy = {**answers, key: deepcopy(answers[key])}
    change(copy[key])
    return copy
