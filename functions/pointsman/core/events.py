"""One event, whatever carried it, and the types of event that pointsman itself publishes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import cast

from pointsman.errors import Invalid

__all__ = [
    "ALERT_FIRED",
    "MODEL_REGISTERED",
    "NOTICE",
    "REPO_PUSHED",
    "WEBHOOK_IGNORED",
    "Event",
]

REPO_PUSHED = "dev.pointsman.repo.pushed.v1"
MODEL_REGISTERED = "dev.pointsman.model.registered.v1"
ALERT_FIRED = "dev.pointsman.alert.fired.v1"
WEBHOOK_IGNORED = "dev.pointsman.webhook.ignored.v1"
NOTICE = "dev.pointsman.notice.v1"


@dataclass(frozen=True, slots=True)
class Event:
    """An event with its own identity: `source` and `id` come from inside it, never from its carrier.

    `data` is decoded JSON, or the bytes where they are none. `attempt` is the envelope's
    `deliveryAttempt`, for people; nothing is decided by it. `traceparent` is the span that published it, if any.
    """

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    data: object
    attempt: int = 1
    traceparent: str = ""

    @property
    def key(self) -> str:
        """Where the ledger keeps this event: 32 hex digits of SHA-256 over source NUL id."""
        return sha256(f"{self.source}\0{self.id}".encode()).hexdigest()[:32]

    def fields(self) -> Mapping[str, object]:
        """The data as a JSON object. Raises Invalid when it is anything else."""
        if not isinstance(self.data, Mapping):
            raise Invalid("the event's data is no JSON object", where=f"{self.type} {self.id}")
        return cast("Mapping[str, object]", self.data)
