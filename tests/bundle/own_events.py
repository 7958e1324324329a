"""For each entry point a request of its own that needs no cluster and no git, and the answer that is due."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

__all__ = ["OWN", "SECRET", "Own"]

SECRET = "bundle"
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Own:
    """A request and what answers it; `published` is the topic that must get a message by it."""

    body: bytes
    status: int
    answer: str
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    published: str = ""


def _of(body: object, status: int, answer: str, path: str = "/", **headers: str) -> Own:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Own(json.dumps(body).encode(), status, answer, path, {"Content-Type": JSON_TYPE, **named})


def _event(kind: str, data: object, answer: str) -> Own:
    """As Pub/Sub pushes it: the event inside the message."""
    inner = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "//bundle", "ce-type": kind, "content-type": JSON_TYPE}
    message = {"data": base64.b64encode(json.dumps(data).encode()).decode(), "attributes": inner, "messageId": "7"}
    return _of({"message": message, "subscription": "projects/lab/subscriptions/x"}, 200, answer)


def _token(email: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"email": email, "email_verified": True}).encode()).decode()
    return f"Bearer e30.{claims.rstrip('=')}.SIGNATURE_REMOVED_BY_GOOGLE"


def _push() -> Own:
    repository = {"full_name": "acme/config", "clone_url": "https://github.com/acme/config.git", "id": 7}
    pushed = {"ref": "refs/heads/main", "after": "a" * 40, "before": "b" * 40, "repository": repository}
    body = json.dumps({**pushed, "deleted": False, "forced": False, "pusher": {"name": "lea"}}).encode()
    headers = {
        "Content-Type": JSON_TYPE,
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "d1",
        "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, sha256).hexdigest(),
    }
    return Own(body, 202, "", "/webhooks/github", headers, "repo-pushed")


_ASKED = {"rollout": "none", "execution": "projects/p/locations/l/workflows/w/executions/1", "callback": None}
_SEEN = {"model": "digits", "version": "3", "registry": "ci", "alias": None, "artifact_uri": None, "image": None}
_FIRED = {"policy": "slow", "state": "open", "severity": "page", "labels": {}, "summary": "s", "started_at": ""}
_TOLD = {"notice": "RolloutPromoted", "title": "digits serves", "text": "no harm was found", "channels": []}

OWN: Mapping[str, Own] = {
    "receive_webhook": _push(),
    "on_repo_push": _event(
        "dev.pointsman.repo.pushed.v1",
        {"repository": "https://example.com/other.git", "ref": "refs/heads/main", "after": "a" * 40},
        "ignored",
    ),
    "on_model_registered": _event("dev.pointsman.model.registered.v1", _SEEN, "ignored"),
    "on_alert": _event("dev.pointsman.alert.fired.v1", _FIRED, "ignored"),
    "rollout_step": _of(_ASKED, 400, '"code": "absent"', "/claim"),
    "pool_step": _of({**_ASKED, "pool": "l4"}, 200, '"state": "claimed"', "/claim"),
    "command": _of(
        {"service": "demo/digits", "rollout": None, "why": ""},
        400,
        '"code": "absent"',
        "/abort",
        Authorization=_token("lea@example.com"),
    ),
    "sweep": _of({"scope": "leases"}, 200, '"found": []'),
    "notify": _event("dev.pointsman.notice.v1", _TOLD, ""),
}
