"""The labels by which a service's and a revision's objects are found, and the port of every Service."""

import re

__all__ = ["LABEL_POOL", "LABEL_REVISION", "LABEL_SERVICE", "LABEL_VERSION", "SERVICE_PORT", "label_value", "labels"]

LABEL_SERVICE = "pointsman.dev/service"
LABEL_REVISION = "pointsman.dev/revision"
LABEL_VERSION = "pointsman.dev/model-version"
LABEL_POOL = "pointsman.dev/pool"

SERVICE_PORT = 80
"""The port of every revision's Service; it leads to the server's own."""

_NO_LABEL = re.compile(r"[^A-Za-z0-9._-]")


def labels(service: str, revision: str) -> dict[str, str]:
    """What every object of a revision carries."""
    return {
        "app.kubernetes.io/managed-by": "pointsman",
        "app.kubernetes.io/name": service,
        LABEL_SERVICE: service,
        LABEL_REVISION: revision,
    }


def label_value(text: str) -> str:
    """`text` as a label's value: other characters become `-`."""
    return _NO_LABEL.sub("-", text)[:63].strip("-._") or "unnamed"
