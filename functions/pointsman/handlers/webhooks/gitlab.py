"""GitLab: `Push Hook`, by secret token or, newer, signed in the form of Standard Webhooks ("Webhooks" in its docs).

A configured secret that begins with `whsec_` is a signing token. Where there is one the plain token counts no
more: accepting either would let whoever learned the token leave the signature out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from pointsman.core.events import REPO_PUSHED, Event
from pointsman.handlers.webhooks.reading import SUBJECT_MAX, Unreadable, ignored, json_object, mapping, text
from pointsman.handlers.webhooks.signatures import decoded_key, equals_any, hmac_base64, timely, v1_signatures

__all__ = ["TOPIC", "events", "verified"]

TOPIC = "repo-pushed"
SIGNING = "whsec_"
WINDOW_S = 300
BRANCH = "refs/heads/"
ABSENT = "0" * 40


def verified(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    signing = [secret for secret in secrets if secret.startswith(SIGNING)]
    if not signing:
        return equals_any([headers.get("x-gitlab-token", "")], [secret.encode() for secret in secrets])
    keys = [key for secret in signing if (key := decoded_key(secret.removeprefix(SIGNING)))]
    stamp = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode("utf-8", "surrogateescape") + body
    matches = equals_any(
        v1_signatures(headers.get("webhook-signature", "")), [hmac_base64(key, signed) for key in keys]
    )
    return matches and timely(stamp, now, WINDOW_S)


def events(headers: Mapping[str, str], body: bytes, now: datetime) -> Sequence[Event]:
    # `webhook-id` is signed and equals Idempotency-Key; the other ids change with each request or are shared by hooks.
    delivery = headers.get("webhook-id") or headers.get("idempotency-key")
    source = f"//{urlsplit(headers.get('x-gitlab-instance', '')).hostname or 'gitlab'}"
    try:
        payload = json_object(body)
        kind = str(payload.get("object_kind") or headers.get("x-gitlab-event") or "unknown")
        if isinstance(payload.get("project"), Mapping):
            project = mapping(payload, "project")
            host = urlsplit(text(project, "web_url")).hostname or "gitlab"
            source = f"//{host}/{text(project, 'path_with_namespace')}"
        if kind != "push":
            return [ignored(source, delivery, body, kind, f"{kind} is no push to a branch", now)]
        return [_push(payload, source, delivery, now)]
    except (Unreadable, ValueError) as error:
        reason = str(error) if isinstance(error, Unreadable) else "the project's URL is none"
        return [ignored(source, delivery, body, "unreadable", reason, now)]


def _push(payload: Mapping[str, object], source: str, delivery: str | None, now: datetime) -> Event:
    if not delivery:
        raise Unreadable("the call has no Idempotency-Key")
    ref, after = text(payload, "ref"), text(payload, "after")
    if not ref.startswith(BRANCH):
        raise Unreadable(f"a push to {ref}, which is no branch")
    project = mapping(payload, "project")
    return Event(
        id=delivery,
        source=source,
        type=REPO_PUSHED,
        time=now,
        subject=f"{ref}@{after}"[:SUBJECT_MAX],
        data={
            "repository": text(project, "git_http_url"),
            "repository_id": payload.get("project_id"),
            "ref": ref,
            "before": text(payload, "before"),
            "after": after,
            "forced": False,  # GitLab does not say
            "deleted": after == ABSENT,
            "pusher": str(payload.get("user_username") or ""),
        },
    )
