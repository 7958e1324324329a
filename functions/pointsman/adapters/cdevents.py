"""A notice as a CDEvent (https://cdevents.dev, specification 0.5.1), carried as a CloudEvent over HTTP.

What the vocabulary has is said in its words: a service was upgraded or rolled back. Everything else is a custom
event of the tool `pointsman`. The whole notice is in `customData`.
"""

from collections.abc import Mapping
from datetime import UTC
from urllib.parse import quote

from pointsman.core.notices import Notice, NoticeKind

__all__ = ["cdevent", "headers"]

SPECIFICATION = "0.5.1"
TYPES: Mapping[NoticeKind, str] = {
    "ApprovalNeeded": "dev.cdeventsx.pointsman-rollout.approvalneeded.0.1.0",
    "RolloutStarted": "dev.cdeventsx.pointsman-rollout.started.0.1.0",
    "RolloutHeld": "dev.cdeventsx.pointsman-rollout.held.0.1.0",
    "RolloutPromoted": "dev.cdevents.service.upgraded.0.3.0",
    "RolloutRolledBack": "dev.cdevents.service.rolledback.0.3.0",
    "RolloutFailed": "dev.cdeventsx.pointsman-rollout.failed.0.1.0",
    "ExperimentEnded": "dev.cdeventsx.pointsman-experiment.ended.0.1.0",
    "PoolExhausted": "dev.cdeventsx.pointsman-pool.exhausted.0.1.0",
    "PoolScaled": "dev.cdeventsx.pointsman-pool.scaled.0.1.0",
    "DocumentsRefused": "dev.cdeventsx.pointsman-documents.refused.0.1.0",
    "EventDropped": "dev.cdeventsx.pointsman-event.dropped.0.1.0",
    "ServiceOrphaned": "dev.cdeventsx.pointsman-service.orphaned.0.1.0",
    "AlertFired": "dev.cdeventsx.pointsman-alert.fired.0.1.0",
}


def cdevent(notice: Notice) -> dict[str, object]:
    """The notice as a CDEvent. Its id is the event's: what is sent twice is the same CDEvent."""
    kind = TYPES[notice.notice]
    subject = notice.service or notice.pool or notice.repository or notice.notice
    about: dict[str, object] = {
        name: value
        for name in ("rollout", "revision", "pool", "repository", "commit", "state", "verdict", "url")
        if (value := getattr(notice, name)) is not None
    }
    content: dict[str, object] = {"title": notice.title, "text": notice.text, **about}
    if not kind.startswith("dev.cdeventsx."):  # its content is the vocabulary's alone
        namespace, _, name = subject.rpartition("/")
        artifact = f"pkg:generic/{quote(name, safe='')}@{quote(notice.revision or '', safe='')}".rstrip("@")
        content = {"environment": {"id": namespace or "default"}, "artifactId": artifact}
    at = notice.at.astimezone(UTC).isoformat().replace("+00:00", "Z") if notice.at else "1970-01-01T00:00:00Z"
    context = {
        "specversion": SPECIFICATION,
        "id": notice.id or notice.thread,
        "source": f"//pointsman/{quote(subject, safe='/:')}",
        "type": kind,
        "timestamp": at,
    }
    return {
        "context": context,
        "subject": {"id": subject, "content": content},
        "customData": {"notice": notice.notice, "title": notice.title, "text": notice.text, **about},
        "customDataContentType": "application/json",
    }


def headers(event: Mapping[str, object]) -> dict[str, str]:
    """The CloudEvents attributes of a CDEvent, binary mode ("CloudEvents Binding for CDEvents")."""
    context, subject = event["context"], event["subject"]
    assert isinstance(context, dict)
    assert isinstance(subject, dict)
    return {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": quote(context["id"], safe="/:@."),
        "ce-source": context["source"],
        "ce-type": context["type"],
        "ce-subject": quote(subject["id"], safe="/:@."),
        "ce-time": context["timestamp"],
    }
