"""GitHub: `push`, signed by HMAC over the raw body, form bodies included ("Validating webhook deliveries").

The signature covers no time, so that replays are told by the delivery's id alone; a redelivery keeps it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qs

from pointsman.core.events import REPO_PUSHED, Event
from pointsman.handlers.webhooks.reading import SUBJECT_MAX, Unreadable, ignored, json_object, mapping, text
from pointsman.handlers.webhooks.signatures import equals_any, hmac_hex

__all__ = ["TOPIC", "events", "verified"]

TOPIC = "repo-pushed"
NAMED = "//github.com"
BRANCH = "refs/heads/"


def verified(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    # SHA-1's older header is not looked at: whoever can forge it should not be let in by it.
    given = headers.get("x-hub-signature-256", "")
    return equals_any([given], [b"sha256=" + hmac_hex(secret.encode(), body) for secret in secrets])


def events(headers: Mapping[str, str], body: bytes, now: datetime) -> Sequence[Event]:
    delivery = headers.get("x-github-delivery")
    kind = headers.get("x-github-event", "unknown")
    source = NAMED
    try:
        payload = json_object(_json_text(headers, body))
        if isinstance(payload.get("repository"), Mapping):
            source = f"{NAMED}/{text(mapping(payload, 'repository'), 'full_name')}"
        if kind != "push":
            reason = "the webhook is set up" if kind == "ping" else f"{kind} is no push"
            return [ignored(source, delivery, body, kind, reason, now)]
        ref = text(payload, "ref")
        if not ref.startswith(BRANCH):
            return [ignored(source, delivery, body, "tag_push", f"{ref} is no branch", now)]
        return [_push(payload, source, delivery, ref, now)]
    except Unreadable as error:
        return [ignored(source, delivery, body, "unreadable", str(error), now)]


def _push(payload: Mapping[str, object], source: str, delivery: str | None, ref: str, now: datetime) -> Event:
    repository = mapping(payload, "repository")
    pusher = payload.get("pusher")
    after = text(payload, "after")
    if not delivery:
        raise Unreadable("the call has no X-GitHub-Delivery")
    return Event(
        id=delivery,
        source=source,
        type=REPO_PUSHED,
        time=now,
        subject=f"{ref}@{after}"[:SUBJECT_MAX],
        data={
            "repository": text(repository, "clone_url"),
            "repository_id": repository.get("id"),
            "ref": ref,
            "before": text(payload, "before"),
            "after": after,
            "forced": payload.get("forced") is True,
            "deleted": payload.get("deleted") is True,
            "pusher": str(pusher.get("name") or "") if isinstance(pusher, Mapping) else "",
        },
    )


def _json_text(headers: Mapping[str, str], body: bytes) -> bytes | str:
    """The JSON, which a hook of content type `form` sends as the field `payload`."""
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return body
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=10)
    except ValueError as error:
        raise Unreadable("the body is no form") from error
    if "payload" not in fields:
        raise Unreadable("the form has no field payload")
    return fields["payload"][0]
