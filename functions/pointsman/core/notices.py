"""What people are told: one notice, as it is published on the topic `notices`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ChannelRef", "Notice", "NoticeKind"]

NoticeKind = Literal[
    "ApprovalNeeded",
    "RolloutStarted",
    "RolloutHeld",
    "RolloutPromoted",
    "RolloutRolledBack",
    "RolloutFailed",
    "ExperimentEnded",
    "PoolExhausted",
    "PoolScaled",
    "DocumentsRefused",
    "EventDropped",
    "ServiceOrphaned",
]


@dataclass(frozen=True, slots=True)
class ChannelRef:
    """A channel of the Platform; `secret` names the secret that holds its URL."""

    name: str
    type: Literal["Slack", "GoogleChat", "Webhook"]
    secret: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. It carries its channels, so that `notify` reads no ledger; `thread` groups a rollout's."""

    notice: NoticeKind
    title: str
    text: str
    channels: tuple[ChannelRef, ...] = ()
    service: str | None = None
    rollout: str | None = None
    revision: str | None = None
    pool: str | None = None
    repository: str | None = None
    commit: str | None = None
    state: str | None = None
    verdict: Mapping[str, object] | None = None
    url: str | None = field(default=None)

    @property
    def thread(self) -> str:
        return self.rollout or self.service or self.pool or self.commit or self.notice
