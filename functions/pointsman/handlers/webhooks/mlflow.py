"""MLflow 3: model versions and aliases, signed over delivery id, time and body ("Webhooks" in its docs).

A moved alias is told as `created` with the new version. The key is the secret's text as it stands, not
base64 as in Standard Webhooks. All of a call's retries carry the same id, time and signature.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pointsman.core.events import MODEL_REGISTERED, Event
from pointsman.handlers.webhooks.reading import SUBJECT_MAX, Unreadable, ignored, json_object, mapping, text, timestamp
from pointsman.handlers.webhooks.signatures import equals_any, hmac_base64, timely, v1_signatures

__all__ = ["TOPIC", "events", "verified"]

TOPIC = "model-registered"
WINDOW_S = 600
"""Wider than usual: MLflow honours Retry-After, and its retries keep the first call's time."""


def verified(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    stamp = headers.get("x-mlflow-timestamp", "")
    signed = f"{headers.get('x-mlflow-delivery-id', '')}.{stamp}.".encode("utf-8", "surrogateescape") + body
    matches = equals_any(
        v1_signatures(headers.get("x-mlflow-signature", "")),
        [hmac_base64(secret.encode(), signed) for secret in secrets],
    )
    return matches and timely(stamp, now, WINDOW_S)


def events(headers: Mapping[str, str], body: bytes, now: datetime) -> Sequence[Event]:
    delivery = headers.get("x-mlflow-delivery-id")
    # The body does not say whose it is; the address by which the server knows us stands for it.
    source = f"//mlflow/{headers.get('host', '')}"
    try:
        payload = json_object(body)
        kind = f"{text(payload, 'entity')}.{text(payload, 'action')}"
        if kind not in ("model_version.created", "model_version_alias.created", "model_version_alias.deleted"):
            return [ignored(source, delivery, body, kind, f"{kind} changes no version and no alias", now)]
        if not delivery:
            raise Unreadable("the call has no X-MLflow-Delivery-Id")
        data = mapping(payload, "data")
        model = text(data, "name")
        deleted = kind.endswith(".deleted")
        version = None if deleted else text(data, "version")
        alias = text(data, "alias") if "alias" in kind else None
        artifact = data.get("source")
        return [
            Event(
                id=delivery,
                source=source,
                type=MODEL_REGISTERED,
                time=timestamp(payload.get("timestamp"), now),
                subject=f"{model}@{alias or version}"[:SUBJECT_MAX],
                data={
                    "model": model,
                    "version": version,
                    "registry": "mlflow",
                    "alias": alias,
                    "artifact_uri": artifact if isinstance(artifact, str) else None,
                    "image": None,
                    "git": None,
                },
            )
        ]
    except Unreadable as error:
        return [ignored(source, delivery, body, "unreadable", str(error), now)]
