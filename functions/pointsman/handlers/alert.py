"""An alert leads to what AlertRules say: back, stop, more nodes, or word to people.

What counts is the incident's present state, not the order of its messages; and an alert that arrives late tells of
another time, so it holds a rollout instead of taking it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from pointsman.core.attribution import SCOPE, Attribution, attribute
from pointsman.core.changes import undo
from pointsman.core.events import WEBHOOK_IGNORED, Event
from pointsman.core.names import JSON
from pointsman.core.notices import Notice
from pointsman.core.pools import with_hold
from pointsman.core.records import CommandRecord, EventRecord, PoolRecord, RolloutRecord
from pointsman.documents.alert import Action, AlertRule, Notify, Pause, RollBack, ScalePool
from pointsman.documents.scalars import duration
from pointsman.errors import Absent, Invalid, PointsmanError
from pointsman.handlers.alerting import Alert, alert_of, matches
from pointsman.handlers.commanding import ordered, wake
from pointsman.handlers.delivery import Outcome
from pointsman.handlers.standing import (
    Standing,
    alert_rules,
    effective_of,
    head_commit,
    platform_of,
    pool_of,
    standing_of,
)
from pointsman.handlers.starting import claim_of, intent, opening, start, unstarted
from pointsman.handlers.telling import channels, tell
from pointsman.ports import Bus, Ledger, Saved, Workflows, Write

__all__ = ["FRESH", "handle"]

FRESH = timedelta(minutes=15)
"""Delivery may take hours; what an older alert saw is not what runs now."""
SCOPE_EVENTS_MAX = 100
"""Alerts that are looked through for an incident that is everybody's."""

UNCHANGED = "unchanged"
"""Kind of the mark that an alert leaves of a service that nobody changed: everybody's incidents show by it."""

REVISION_LABELS = ("revision", "pointsman_revision", "pointsman.dev/revision")


def handle(event: Event, *, ledger: Ledger, workflows: Workflows, bus: Bus, now: datetime) -> Outcome:
    """Carry out every action of every rule that is about the alert, each on its own.

    Safe to repeat. Raises Invalid for what is no alert, and the last transient error of an action: the others
    have been carried out, and are not carried out again.
    """
    if event.type == WEBHOOK_IGNORED:
        return Outcome("ignored", str(event.fields().get("reason") or "no event of ours"))
    alert = alert_of(event)
    if alert.test:
        return Outcome("ignored", "a test notification")
    if alert.state != "open":
        return Outcome("ignored", f"{alert.state}: nothing is undone by it, since it may only have lost its data")
    if (
        alert.closing
        and ledger.read(EventRecord, Event(alert.closing, event.source, "", now, "", None).key) is not None
    ):
        return Outcome("ignored", "its close was seen before")
    rules = {name: rule for name, rule in alert_rules(ledger).items() if matches(rule, alert)}
    if not rules:
        return Outcome("ignored", f"no AlertRule is about {' or '.join(alert.policies) or 'it'}")
    firing = _Firing(event, alert, ledger, workflows, bus, now)
    claim = claim_of(ledger, event)
    start(workflows, unstarted(ledger, claim))
    done: list[_Done] = []
    failures: list[PointsmanError] = []
    for name, rule in rules.items():
        for action in rule.spec.actions:
            try:
                done.append(firing.carry_out(name, rule, action))
            except (Invalid, Absent) as error:
                done.append(_Done("", f"{name}: {error}"))
            except PointsmanError as error:
                failures.append(error)
    if failures:
        raise failures[-1]
    begun = claim is not None and bool(claim.record.led_to)
    result: Literal["applied", "ignored"] = "applied" if begun or any(item.led_to for item in done) else "ignored"
    led_to = tuple(mark for item in done if (mark := item.led_to or item.unchanged))
    return Outcome(result, "; ".join(item.said for item in done), led_to)


def _unchanged(mark: str) -> str | None:
    """The service that alerted without a release of its own, where the mark in an event's record says so."""
    rule, _, rest = mark.partition(" ")
    kind, _, service = rest.partition(" ")
    return f"{rule.split('/')[1]}/{service}" if rule.startswith("AlertRule/") and kind == UNCHANGED else None


@dataclass(frozen=True, slots=True)
class _Done:
    """What an action led to (nothing: not carried out), and a sentence about it. `unchanged` marks a service that
    alerted without a release of its own."""

    led_to: str
    said: str
    unchanged: str = ""


@dataclass(frozen=True, slots=True)
class _Firing:
    """One delivery of an open alert."""

    event: Event
    alert: Alert
    ledger: Ledger
    workflows: Workflows
    bus: Bus
    now: datetime

    def carry_out(self, name: str, rule: AlertRule, action: Action) -> _Done:
        namespace = name.partition("/")[0]
        turn = _Turn(self, name, namespace, duration(rule.spec.cooldown))
        if action.roll_back is not None:
            return turn.roll_back(action.roll_back)
        if action.pause is not None:
            return turn.pause(action.pause)
        if action.scale_pool is not None:
            return turn.scale_pool(action.scale_pool)
        if action.notify is not None:
            return turn.notify(action.notify)
        return _Done("", f"{name}: startPipeline is not carried out yet")


@dataclass(frozen=True, slots=True)
class _Turn:
    """One rule's turn. What was done for a target, and when, is kept under the rule's name, for its cooldown."""

    firing: _Firing
    rule: str
    namespace: str
    cooldown: timedelta

    def roll_back(self, action: RollBack) -> _Done:
        service = self._service(action.service, action.service_label)
        standing = self._standing(service)
        rollout = standing.leading
        if rollout is None:
            return self._undo(service, standing, duration(action.promoted_within))
        if rollout.kind != "roll_out":
            return self._said(service, f"{rollout.to_revision} is being gone back to already")
        if standing.saved.record.stable in self._revisions():
            return self._said(service, f"the alert names {standing.saved.record.stable}, which is stable")
        verb = "roll_back" if self._fresh else "pause"
        return self._command(service, rollout, verb)

    def pause(self, action: Pause) -> _Done:
        service = self._service(action.service, action.service_label)
        rollout = self._standing(service).leading
        if rollout is None:
            return self._said(service, "no rollout is running")
        return self._command(service, rollout, "pause")

    def scale_pool(self, action: ScalePool) -> _Done:
        firing = self.firing
        pool = pool_of(firing.ledger, action.pool)

        def writes() -> list[Write]:
            saved = firing.ledger.read(PoolRecord, action.pool)
            record = with_hold(
                saved.record if saved else PoolRecord(name=action.pool),
                self.rule,
                nodes_more=action.add_nodes,
                nodes_min=pool.spec.nodes.min,
                why=firing.alert.summary or self._policy,
                now=firing.now,
                until=firing.now + duration(pool.spec.idle_timeout),
            )
            return [Write(record, saved)]

        def act() -> None:
            firing.workflows.start("scale-pool", {"pool": action.pool, "callback": None})

        return self._once("scalePool", action.pool, writes, act, f"{action.add_nodes} nodes more")

    def notify(self, action: Notify) -> _Done:
        def act() -> None:
            self._tell(channel_names=action.channels)

        return self._once("notify", ",".join(action.channels), list, act, "told")

    def _undo(self, service: str, standing: Standing, within: timedelta) -> _Done:
        """No rollout runs: back to the revision before, if the one that serves was promoted just now."""
        firing, record = self.firing, standing.saved.record
        promoted = firing.ledger.find(RolloutRecord, {"service": record.key, "state": "promoted"}, 1)
        last = promoted[0].record if promoted else None
        if last is None or last.kind != "roll_out" or last.to_revision != record.stable:
            return self._unreleased(service, "no release was promoted last: nothing to go back from")
        if firing.now - last.state_since > within:
            return self._unreleased(service, f"{last.to_revision} was promoted longer ago: not the release's fault")
        if (named := self._revisions()) and record.stable not in named:
            return self._said(service, f"the alert names {named[0]}, which does not serve")
        if last.from_revision is None:
            return self._said(service, f"nothing served before {last.to_revision}")
        if not self._fresh:
            return self._told(service, "the alert is old: told, nothing done")
        cause = self._attributed(service, last)
        if cause.blame == "elsewhere":
            return self._told(service, f"not the release's fault: {cause.why}; told, nothing done")
        effective = effective_of(firing.ledger, self.namespace, service)
        if effective is None:
            return self._said(service, "its document is gone")
        change = undo(record, f"alert {self._policy}", to=last.from_revision)
        commit, event = head_commit(firing.ledger), firing.event.key
        opened = opening(firing.ledger, change, effective, standing.saved, cause=event, commit=commit, now=firing.now)

        def act() -> None:
            start(firing.workflows, [opened.rollout])

        said = f"back to {change.to_revision} by {opened.rollout.id}: {cause.why}"
        return self._once("rollBack", service, lambda: list(opened.writes), act, said, opened.rollout.id)

    def _told(self, service: str, said: str) -> _Done:
        """Tell people in place of doing anything. Its cooldown is not that of `notify`, whose targets are channels: one
        of them may be named like the service."""
        return self._once("tell", service, list, self._tell, said)

    def _attributed(self, service: str, promoted: RolloutRecord) -> Attribution:
        """Whether the release may be to blame, by what the ledger knows."""
        firing, mine = self.firing, f"{self.namespace}/{service}"
        others: set[str] = set()
        for saved in firing.ledger.find(EventRecord, {"type": firing.event.type}, SCOPE_EVENTS_MAX):
            if firing.now - saved.record.received_at <= SCOPE and saved.record.key != firing.event.key:
                others |= {other for mark in saved.record.led_to if (other := _unchanged(mark)) and other != mine}
        return attribute(
            alert_since=firing.alert.started_at,
            rollout_since=promoted.started_at,
            promoted_at=promoted.state_since,
            others=others,
            numbers=cast("JSON", (promoted.verdict or {}).get("numbers") or {}),
        )

    def _command(self, service: str, rollout: RolloutRecord, verb: str) -> _Done:
        firing = self.firing
        if rollout.state == "giving_back":
            return self._said(service, f"{rollout.to_revision} is being given back already")
        number = f"{firing.event.key[:16]}-{self.rule.replace('/', '-')}-{verb}"
        command = ordered(
            rollout, verb, by=f"alert:{self._policy}", why=firing.alert.summary, number=number, now=firing.now
        )
        late = verb == "pause" and not self._fresh

        def act() -> None:
            wake(firing.workflows, rollout)
            if late:
                self._tell(service=service, rollout=rollout)

        said = f"{verb} asked of {rollout.id}" + (", since the alert is old" if late else "")
        return self._once(verb, service, lambda: [Write(command)], act, said, command.key)

    def _once(
        self,
        kind: str,
        target: str,
        writes: Callable[[], Sequence[Write]],
        act: Callable[[], None],
        said: str,
        led_to: str = "",
    ) -> _Done:
        """Save what is to be done, then do it: once a cooldown; and go on with it when this event saved it before."""
        firing = self.firing
        mark = f"AlertRule/{self.rule}"
        name = f"{mark} {kind} {target}"
        last = firing.ledger.read(CommandRecord, f"{mark}/{kind}/{target}")
        mine = last is not None and last.record.taken == firing.event.key
        if last is not None and not mine and firing.now - last.record.at < self.cooldown:
            until = last.record.at + self.cooldown
            return _Done("", f"{self.rule}: {kind} of {target} is cooling down until {until:%H:%M:%S} UTC")
        if not mine:
            self._save(last, mark, kind, target, writes(), [name, *([led_to] if led_to else [])])
        act()
        return _Done(name, f"{self.rule}: {target} {said}")

    def _save(
        self,
        last: Saved[CommandRecord] | None,
        mark: str,
        kind: str,
        target: str,
        writes: Sequence[Write],
        led_to: Sequence[str],
    ) -> None:
        firing = self.firing
        done = CommandRecord(
            rollout=mark,
            id=f"{kind}/{target}",
            verb=kind,
            by=f"alert:{self._policy}",
            at=firing.now,
            why=firing.alert.summary,
            taken=firing.event.key,
        )
        claim = claim_of(firing.ledger, firing.event)
        firing.ledger.save([Write(done, last), *writes, *intent(claim, led_to)])

    def _tell(
        self,
        *,
        channel_names: Sequence[str] | None = None,
        service: str | None = None,
        rollout: RolloutRecord | None = None,
    ) -> None:
        firing = self.firing
        kind: Literal["RolloutHeld", "AlertFired"] = "RolloutHeld" if rollout else "AlertFired"
        notice = Notice(
            notice=kind,
            title=f"{self._policy}: {self.rule}",
            text=firing.alert.summary,
            channels=channels(platform_of(firing.ledger), kind, namespace=self.namespace, names=channel_names),
            service=f"{self.namespace}/{service}" if service else None,
            rollout=rollout.id if rollout else None,
        )
        tell(firing.bus, notice, cause=f"{firing.event.key}/{self.rule}", now=firing.now)

    @property
    def _policy(self) -> str:
        return next(iter(self.firing.alert.policies), "an alert")

    @property
    def _fresh(self) -> bool:
        return self.firing.now - self.firing.alert.started_at <= FRESH

    def _revisions(self) -> list[str]:
        labels = self.firing.alert.labels
        return [labels[name] for name in REVISION_LABELS if labels.get(name)]

    def _service(self, name: str | None, label: str | None) -> str:
        found = name or self.firing.alert.labels.get(label or "")
        if not found:
            raise Invalid(f"the alert has no label {label}")
        return found

    def _standing(self, service: str) -> Standing:
        found = standing_of(self.firing.ledger, self.namespace, service)
        if found is None:
            raise Absent(f"{self.namespace}/{service} was never rolled out")
        return found

    def _said(self, service: str, why: str) -> _Done:
        return _Done("", f"{self.rule}: {service}: {why}")

    def _unreleased(self, service: str, why: str) -> _Done:
        said = self._said(service, why)
        return _Done("", said.said, unchanged=f"AlertRule/{self.rule} {UNCHANGED} {service}")
