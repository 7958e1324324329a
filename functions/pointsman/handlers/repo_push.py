"""A push is a doorbell: whatever it says, the branch's head is read, and the difference is acted on.

Pushes arrive late, doubled and out of order; the head does not. A head with a fault applies nothing, and says
every fault. What a head changes is saved in one transaction, with the intent in the event's claim, then started.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol
from urllib.parse import urlsplit

from pointsman.core.changes import Change, changes
from pointsman.core.events import REPO_PUSHED, WEBHOOK_IGNORED, Event
from pointsman.core.names import Commit
from pointsman.core.notices import Notice
from pointsman.core.records import EventRecord, HeadRecord
from pointsman.documents import load
from pointsman.documents.config import Config
from pointsman.documents.effective import EffectiveService, effective
from pointsman.documents.platform import RegistrySettings
from pointsman.errors import Absent, Conflict, Invalid
from pointsman.handlers.delivery import Outcome
from pointsman.handlers.documenting import digests_of, records_of, removed, stale
from pointsman.handlers.following import ask
from pointsman.handlers.standing import Standing, platform_of, standings
from pointsman.handlers.starting import Opening, claim_of, intent, opening, start, unstarted
from pointsman.handlers.telling import channels, tell
from pointsman.ports import Bus, Ledger, Registry, Saved, Source, Workflows, Write

__all__ = ["Followed", "handle"]

TRIES = 3
"""Rollouts tick while a push is applied; a save that lost the race is decided anew, then left to a redelivery."""
FAULTS_KEPT = 100
TOLD: Mapping[str, Literal["ServiceOrphaned", "RolloutFailed"]] = {
    "orphaned": "ServiceOrphaned",
    "blocked": "RolloutFailed",
    "rejected": "RolloutFailed",
}
"""Changes that start nothing, and the notice by which people hear of them."""


class Followed(Protocol):
    """The branch that is followed, and where pointsman runs: a deployment's settings."""

    @property
    def repository(self) -> str: ...

    @property
    def branch(self) -> str: ...

    @property
    def project(self) -> str: ...

    @property
    def location(self) -> str: ...


def handle(
    event: Event,
    *,
    source: Source,
    ledger: Ledger,
    workflows: Workflows,
    registry: Callable[[RegistrySettings], Registry],
    bus: Bus,
    followed: Followed,
    now: datetime,
) -> Outcome:
    """Apply the head of the followed branch, if it is not applied yet.

    Safe to repeat and to reorder. Raises Invalid and Denied (recorded, not repeated), Unavailable and Conflict
    (the event comes back).
    """
    if event.type == WEBHOOK_IGNORED:
        return Outcome("ignored", str(event.fields().get("reason") or "no event of ours"))
    if event.type != REPO_PUSHED:
        return Outcome("rejected", f"{event.type} is no push")
    if foreign := _not_followed(event.fields(), followed):
        return Outcome("ignored", foreign)
    push = _Push(event, source, ledger, workflows, registry, bus, followed, now)
    for _ in range(TRIES - 1):
        try:
            return push.apply()
        except Conflict:
            continue
    return push.apply()


def _not_followed(push: Mapping[str, object], followed: Followed) -> str:
    """Why the push is none of ours; nothing when it is."""
    repository, ref = push.get("repository"), push.get("ref")
    if not isinstance(repository, str) or not isinstance(ref, str):
        raise Invalid("the push names no repository and ref")
    if _address(repository) != _address(followed.repository):
        return f"{repository} is not the repository that is followed"
    if ref != f"refs/heads/{followed.branch}":
        return f"{ref.removeprefix('refs/heads/')} is not the branch that is followed"
    if push.get("deleted") is True:
        return f"{followed.branch} was deleted: what it said last stays in force"
    return ""


def _address(url: str) -> str:
    """Host and path of a clone URL, however it is written: `git@host:a/b.git` is `https://host/a/b`."""
    if "://" not in url and ":" in url:
        url = "ssh://" + url.replace(":", "/", 1)
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
    return f"{(parts.hostname or '').lower()}{port}{parts.path.removesuffix('/').removesuffix('.git')}"


@dataclass(frozen=True, slots=True)
class _Push:
    """One attempt to bring the ledger to the head, with all it needs."""

    event: Event
    source: Source
    ledger: Ledger
    workflows: Workflows
    registry: Callable[[RegistrySettings], Registry]
    bus: Bus
    followed: Followed
    now: datetime

    def apply(self) -> Outcome:
        followed = self.followed
        claim = claim_of(self.ledger, self.event)
        start(self.workflows, unstarted(self.ledger, claim))
        commit = self.source.heads(followed.repository).get(followed.branch)
        if commit is None:
            return Outcome("ignored", f"the repository has no branch {followed.branch}")
        head = self.ledger.read(HeadRecord, f"{followed.repository}#{followed.branch}")
        if head is not None and head.record.commit == commit and head.record.refused is None:
            return self._settled(head.record, claim)
        if head is not None and head.record.refused == commit:
            return self._refused(head.record, claim)
        try:
            files = self.source.files(followed.repository, commit)
        except Invalid as error:
            return self._refuse(commit, head, claim, [str(error)])
        loaded = load(files, branch=followed.branch, before=self._before(head))
        if loaded.config is None:
            return self._refuse(commit, head, claim, [str(fault) for fault in loaded.faults])
        return self._apply(commit, head, claim, loaded.config)

    def _before(self, head: Saved[HeadRecord] | None) -> Config | None:
        """The last commit applied, against which some rules hold; None when it is gone from the repository."""
        if head is None or not head.record.commit:
            return None
        try:
            files = self.source.files(self.followed.repository, Commit(head.record.commit))
        except (Absent, Invalid):
            return None
        return load(files).config

    def _apply(
        self, commit: Commit, head: Saved[HeadRecord] | None, claim: Saved[EventRecord] | None, config: Config
    ) -> Outcome:
        followed = self.followed
        wanted = effective(config, project=followed.project, region=followed.location)
        standing = standings(self.ledger)
        answers = ask(wanted, self.registry)
        decided = changes(wanted, {name: item.known for name, item in standing.items()}, answers.versions)
        openings, refused = self._openings(decided, wanted, standing, commit)
        documents = records_of(config, wanted, commit)
        why = {f"{change.namespace}/{change.name}": change.why for change in decided} | refused
        led_to = [
            *(item.rollout.id for item in openings),
            *(f"{TOLD[change.kind]} {change.namespace}/{change.name}" for change in decided if change.kind in TOLD),
            *(f"RolloutFailed {name}" for name in refused),
        ]
        record = replace(
            head.record if head else HeadRecord(followed.repository, followed.branch, commit, self.now),
            commit=commit,
            applied_at=self.now,
            digests=digests_of(documents),
            faults=(),
            refused=None,
        )
        self.ledger.save(
            [
                Write(record, head),
                *stale(self.ledger, documents),
                *(write for item in openings for write in item.writes),
                *_in_git(decided, wanted, standing),
                *intent(claim, led_to),
            ]
        )
        start(self.workflows, [item.rollout for item in openings])
        self._tidy(record)
        self._tell(led_to, commit, why)
        return Outcome("applied", f"{commit[:12]}: {_summary(decided, refused)}", tuple(led_to))

    def _openings(
        self,
        decided: Sequence[Change],
        wanted: Mapping[str, EffectiveService],
        standing: Mapping[str, Standing],
        commit: Commit,
    ) -> tuple[list[Opening], dict[str, str]]:
        """A start for each service that needs one, and why some cannot be: one service's trouble is its own."""
        openings: list[Opening] = []
        refused: dict[str, str] = {}
        for change in decided:
            name = f"{change.namespace}/{change.name}"
            if not change.starts:
                continue
            saved = standing[name].saved if name in standing else None
            try:
                cause = self.event.key
                item = opening(self.ledger, change, wanted[name], saved, cause=cause, commit=commit, now=self.now)
            except Invalid as error:
                refused[name] = str(error)
            else:
                openings.append(item)
        return openings, refused

    def _settled(self, head: HeadRecord, claim: Saved[EventRecord] | None) -> Outcome:
        """The head is applied already: by another event, or by an earlier delivery of this one, which goes on here."""
        self._tidy(head)
        led_to = claim.record.led_to if claim else ()
        self._tell(led_to, Commit(head.commit), {})
        if led_to:
            return Outcome("applied", f"{head.commit[:12]}: went on with what was begun", led_to)
        return Outcome("ignored", f"{head.commit[:12]} is applied already")

    def _refuse(
        self,
        commit: Commit,
        head: Saved[HeadRecord] | None,
        claim: Saved[EventRecord] | None,
        faults: Sequence[str],
    ) -> Outcome:
        followed = self.followed
        record = replace(
            head.record if head else HeadRecord(followed.repository, followed.branch, "", self.now),
            faults=tuple(faults[:FAULTS_KEPT]),
            refused=commit,
        )
        self.ledger.save([Write(record, head), *intent(claim, [f"DocumentsRefused {commit}"])])
        return self._tell_refused(record)

    def _refused(self, head: HeadRecord, claim: Saved[EventRecord] | None) -> Outcome:
        """Refused before: told again only when this very event refused it and may have died before telling."""
        if claim is not None and f"DocumentsRefused {head.refused}" in claim.record.led_to:
            return self._tell_refused(head)
        return Outcome("rejected", _refusal(head))

    def _tell_refused(self, head: HeadRecord) -> Outcome:
        commit = str(head.refused)
        notice = Notice(
            notice="DocumentsRefused",
            title=f"{commit[:12]} changes nothing: {_count(len(head.faults), 'fault')}",
            text="\n".join(head.faults),
            channels=channels(platform_of(self.ledger), "DocumentsRefused"),
            repository=head.repository,
            commit=commit,
            state="refused",
        )
        tell(self.bus, notice, cause=self.event.key, now=self.now)
        return Outcome("rejected", _refusal(head), (f"DocumentsRefused {commit}",))

    def _tidy(self, head: HeadRecord) -> None:
        for saved in removed(self.ledger, head):
            self.ledger.delete(saved)

    def _tell(self, led_to: Sequence[str], commit: Commit, why: Mapping[str, str]) -> None:
        """Tell of services that the head does not move; `why` is forgotten where an earlier delivery died."""
        for item in led_to:
            kind, _, service = item.partition(" ")
            namespace, _, name = service.partition("/")
            if kind == "ServiceOrphaned":
                title = f"{service} is gone from git and goes on serving"
                text = f"Its document was removed. To take it away: pointsman delete {name} -n {namespace}"
            elif kind == "RolloutFailed":
                title = f"{service} does not follow {commit[:12]}"
                text = why.get(service) or f"See: pointsman why {name} -n {namespace}"
            else:
                continue
            told = TOLD["orphaned"] if kind == "ServiceOrphaned" else TOLD["blocked"]
            notice = Notice(
                notice=told,
                title=title,
                text=text,
                channels=channels(platform_of(self.ledger), told, namespace=namespace),
                service=service,
                repository=self.followed.repository,
                commit=commit,
                state="orphaned" if kind == "ServiceOrphaned" else "refused",
            )
            tell(self.bus, notice, cause=f"{self.event.key}/{service}", now=self.now)


def _in_git(
    decided: Sequence[Change], wanted: Mapping[str, EffectiveService], standing: Mapping[str, Standing]
) -> list[Write]:
    """Services that git no longer has, or has again, where nothing else of theirs is saved."""
    starting = {f"{change.namespace}/{change.name}" for change in decided if change.starts}
    return [
        Write(replace(item.saved.record, in_git=name in wanted), item.saved)
        for name, item in standing.items()
        if name not in starting and item.saved.record.in_git != (name in wanted)
    ]


def _refusal(head: HeadRecord) -> str:
    return f"{str(head.refused)[:12]}: {_count(len(head.faults), 'fault')}, nothing was applied; {head.faults[0]}"


def _summary(decided: Sequence[Change], refused: Mapping[str, str]) -> str:
    """What happens to whom, the unchanged only counted."""
    said = []
    for change in decided:
        name = f"{change.namespace}/{change.name}"
        if name in refused:
            said.append(f"{name} refused, {refused[name]}")
        elif change.kind != "unchanged":
            said.append(f"{name} {change.kind.replace('_', ' ')}, {change.why}")
    unchanged = len(decided) - len(said)
    if unchanged or not said:
        said.append(f"{_count(unchanged, 'service')} unchanged")
    return "; ".join(said)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
