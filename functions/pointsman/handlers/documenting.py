"""The documents of a commit as the ledger keeps them, for all that never read git."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from pointsman.core.names import Commit
from pointsman.core.records import DocumentRecord, HeadRecord, ServiceRecord
from pointsman.documents.config import Config, as_json, digest
from pointsman.documents.effective import EffectiveService
from pointsman.documents.shape import Strict
from pointsman.handlers.standing import EVERYTHING
from pointsman.ports import Ledger, Saved, Write

__all__ = ["digests_of", "is_placed", "records_of", "removed", "stale"]


def records_of(config: Config, wanted: Mapping[str, EffectiveService], commit: Commit) -> Sequence[DocumentRecord]:
    """A record for each document: a ModelService's is the effective one, the others are as written, with defaults."""
    found: list[tuple[str, str, str, Strict]] = [("Platform", "", config.platform.metadata.name, config.platform)]
    found += [("AcceleratorPool", "", name, pool) for name, pool in config.pools.items()]
    found += [("RolloutPolicy", namespace or "", name, item) for (namespace, name), item in config.policies.items()]
    found += [("AlertRule", *_split(key), rule) for key, rule in config.rules.items()]
    found += [("ModelService", *_split(key), service) for key, service in wanted.items()]
    return [_record(config, kind, namespace, name, document, commit) for kind, namespace, name, document in found]


def digests_of(documents: Sequence[DocumentRecord]) -> dict[str, str]:
    """What the head remembers of its documents, 64 bits of each name and 48 of its content: of 5,000 documents, the
    most there may be, the names alone would pass a record's 256 KiB."""
    return {_mark(document.key): document.digest[:12] for document in documents}


def _mark(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:16]


def stale(ledger: Ledger, documents: Sequence[DocumentRecord]) -> list[Write]:
    """Writes for those whose content is not in the ledger yet."""
    kept = {saved.record.key: saved for saved in ledger.find(DocumentRecord, limit=EVERYTHING)}
    return [
        Write(document, kept.get(document.key))
        for document in documents
        if document.key not in kept or kept[document.key].record.digest != document.digest
    ]


def removed(ledger: Ledger, head: HeadRecord) -> list[Saved[DocumentRecord]]:
    """Records of documents that the head has no more. A service's stays while something of it is placed: it says how
    to take that away."""
    known = head.digests
    # Heads that were written before names were shortened hold them as they are.
    gone = [
        saved
        for saved in ledger.find(DocumentRecord, limit=EVERYTHING)
        if _mark(saved.record.key) not in known and saved.record.key not in known
    ]
    if not gone:
        return []
    placed = {
        f"ModelService/{saved.record.namespace}/{saved.record.name}"
        for saved in ledger.find(ServiceRecord, limit=EVERYTHING)
        if is_placed(saved.record)
    }
    return [saved for saved in gone if saved.record.key not in placed]


def is_placed(service: ServiceRecord) -> bool:
    """Whether anything of the service may be in the cluster, or is to come."""
    placed = any(status.placed != "deleted" for status in service.revisions.values())
    return placed or any(name is not None for name in (service.stable, service.owner, service.next))


def _record(config: Config, kind: str, namespace: str, name: str, document: Strict, commit: Commit) -> DocumentRecord:
    content = as_json(document)
    file = config.places[f"{kind}/{namespace}/{name}"].file
    return DocumentRecord(kind, namespace, name, content, commit, file, digest(content))


def _split(key: str) -> tuple[str, str]:
    namespace, _, name = key.partition("/")
    return namespace, name
