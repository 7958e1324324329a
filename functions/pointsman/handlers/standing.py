"""Where services stand, read from the ledger: by handlers that never read git, and by the one that does."""

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman.core.changes import Known
from pointsman.core.records import DocumentRecord, HeadRecord, RolloutRecord, ServiceRecord
from pointsman.documents.alert import AlertRule
from pointsman.documents.effective import EffectiveService
from pointsman.documents.platform import Platform
from pointsman.documents.pool import AcceleratorPool
from pointsman.errors import Absent
from pointsman.ports import Ledger, Saved

__all__ = [
    "EVERYTHING",
    "Standing",
    "alert_rules",
    "effective_of",
    "effective_services",
    "head_commit",
    "platform_of",
    "pool_of",
    "standing_of",
    "standings",
]

EVERYTHING = 10_000
"""More than the 5,000 documents that a repository may have."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A service's record as it was read, and its rollouts that have not ended, newest first."""

    saved: Saved[ServiceRecord]
    running: tuple[RolloutRecord, ...] = ()

    @property
    def known(self) -> Known:
        return Known(self.saved.record, self.running)

    @property
    def leading(self) -> RolloutRecord | None:
        """The rollout that people mean: the one that owns the service, else the one to come."""
        service = self.saved.record
        for wanted in (service.owner, service.next):
            for rollout in self.running:
                if rollout.id == wanted:
                    return rollout
        return self.running[0] if self.running else None


def standings(ledger: Ledger) -> Mapping[str, Standing]:
    """Every service by `<namespace>/<name>`."""
    running: dict[str, list[RolloutRecord]] = {}
    for rollout in ledger.find(RolloutRecord, {"ended": "no"}, EVERYTHING):
        running.setdefault(rollout.record.service, []).append(rollout.record)
    return {
        f"{saved.record.namespace}/{saved.record.name}": _standing(saved, running.get(saved.record.key, []))
        for saved in ledger.find(ServiceRecord, limit=EVERYTHING)
    }


def standing_of(ledger: Ledger, namespace: str, name: str) -> Standing | None:
    """One service; None when it was never rolled out."""
    for saved in ledger.find(ServiceRecord, {"namespace": namespace}, EVERYTHING):
        if saved.record.name == name:
            rollouts = ledger.find(RolloutRecord, {"service": saved.record.key, "ended": "no"}, EVERYTHING)
            return _standing(saved, [rollout.record for rollout in rollouts])
    return None


def effective_of(ledger: Ledger, namespace: str, name: str) -> EffectiveService | None:
    """The service's effective document, as of the last commit applied."""
    found = ledger.read(DocumentRecord, f"ModelService/{namespace}/{name}")
    return None if found is None else EffectiveService.model_validate(found.record.document)


def effective_services(ledger: Ledger) -> Mapping[str, EffectiveService]:
    """All effective documents by `<namespace>/<name>`, those of orphaned services too."""
    found = ledger.find(DocumentRecord, {"kind": "ModelService"}, EVERYTHING)
    return {
        f"{saved.record.namespace}/{saved.record.name}": EffectiveService.model_validate(saved.record.document)
        for saved in found
    }


def alert_rules(ledger: Ledger) -> Mapping[str, AlertRule]:
    """All AlertRules by `<namespace>/<name>`, sorted."""
    found = ledger.find(DocumentRecord, {"kind": "AlertRule"}, EVERYTHING)
    return {
        f"{saved.record.namespace}/{saved.record.name}": AlertRule.model_validate(saved.record.document)
        for saved in sorted(found, key=lambda saved: saved.record.key)
    }


def platform_of(ledger: Ledger) -> Platform | None:
    """The Platform of the last commit applied; None before the first."""
    found = ledger.find(DocumentRecord, {"kind": "Platform"}, 1)
    return Platform.model_validate(found[0].record.document) if found else None


def pool_of(ledger: Ledger, name: str) -> AcceleratorPool:
    """An AcceleratorPool's document. Raises Absent."""
    found = ledger.find(DocumentRecord, {"kind": "AcceleratorPool"}, EVERYTHING)
    for saved in found:
        if saved.record.name == name:
            return AcceleratorPool.model_validate(saved.record.document)
    raise Absent(f"no AcceleratorPool {name!r}", remedy="pointsman pools list")


def head_commit(ledger: Ledger) -> str:
    """The last commit applied, or nothing before the first."""
    found = ledger.find(HeadRecord, limit=1)
    return found[0].record.commit if found else ""


def _standing(saved: Saved[ServiceRecord], running: list[RolloutRecord]) -> Standing:
    return Standing(saved, tuple(sorted(running, key=lambda rollout: rollout.started_at, reverse=True)))
