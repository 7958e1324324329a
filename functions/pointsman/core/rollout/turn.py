"""One tick being decided: the rollout as it becomes, and what is recorded with it.

Local to `transition`, which gives it what was read and takes out a frozen `Decision`.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from pointsman.core.notices import NoticeKind
from pointsman.core.records import RolloutRecord, RolloutState
from pointsman.core.rollout.memory import Cause, memory_of, remembered
from pointsman.core.rollout.observation import Action, Announce, Block, Decision, Observation, Side
from pointsman.core.rollout.world import baseline_of, serving_of
from pointsman.core.rollout_plan import Plan, plan_of
from pointsman.core.traffic import canary_replicas

__all__ = ["BLOCKS", "ENDS_AS", "FINAL", "RANK", "Turn"]

FINAL: frozenset[RolloutState] = frozenset({"promoted", "rolled_back", "aborted", "superseded", "failed"})

PENDING_AT_MOST = timedelta(minutes=10)
GIVING_BACK_AT_MOST = timedelta(minutes=10)
COMPLETING_AT_MOST = timedelta(minutes=30)

ENDS_AS: dict[Cause, RolloutState] = {
    "worse": "rolled_back",
    "bad": "rolled_back",
    "alert": "rolled_back",
    "undecided": "rolled_back",
    "unapproved": "rolled_back",
    "aborted": "aborted",
    "superseded": "superseded",
    "late": "failed",
    "capacity": "failed",
    "error": "failed",
}

RANK: dict[Cause, int] = {
    "superseded": 0,
    "capacity": 1,
    "error": 2,
    "late": 3,
    "unapproved": 4,
    "undecided": 4,
    "bad": 5,
    "worse": 5,
    "alert": 5,
    "aborted": 6,
}
"""A rollout that gives back joins a cause of higher rank; a lower one changes nothing."""

BLOCKS: frozenset[Cause] = frozenset(RANK) - {"superseded", "capacity"}
"""Causes that lie with the revision, or with people who refused it."""


_TITLES: dict[NoticeKind, str] = {
    "RolloutStarted": "is being rolled out",
    "ApprovalNeeded": "waits for approval",
    "RolloutHeld": "is held",
    "RolloutPromoted": "is promoted",
    "RolloutRolledBack": "is rolled back",
    "RolloutFailed": "was not rolled out",
}


class Turn:
    """What `transition` works on. Nothing outside of it is changed."""

    def __init__(self, rollout: RolloutRecord, observed: Observation, now: datetime) -> None:
        self.rollout = rollout
        self.memory = memory_of(rollout)
        self.observed = observed
        self.now = now
        self.plan: Plan = plan_of(rollout)
        self.actions: list[Action] = []
        self.notes: list[str] = []
        self._route_changed = False

    # --- who is concerned -------------------------------------------------------------------------------------

    @property
    def to(self) -> str:
        return self.rollout.to_revision

    @property
    def baseline(self) -> str | None:
        """The revision beside the canary, if there is one."""
        return baseline_of(self.rollout)

    @property
    def serving(self) -> str | None:
        return serving_of(self.rollout, self.memory)

    @property
    def canary_side(self) -> Side:
        return self.observed.side(self.to)

    @property
    def route_seen(self) -> bool:
        """Whether the route that is wanted is in force: what was read is of before this tick's changes to it."""
        return self.observed.route.seen and not self._route_changed

    @property
    def stepless(self) -> bool:
        """Whether there is nothing to walk: a way back, a first deployment, a service that is off."""
        return self.plan.fast or self.baseline is None or self.plan.replicas == 0

    # --- sizes ------------------------------------------------------------------------------------------------

    @property
    def full(self) -> int:
        """The canary's size before it takes half of the traffic or more."""
        if self.plan.replicas == 0:
            return 0
        if self.baseline is None:
            return self.plan.replicas
        return max(self.plan.replicas, self.memory.replicas or 0)

    def size(self, step: int) -> int:
        """The canary's size at a step; beyond the last, at the bake."""
        if self.stepless or step >= len(self.plan.steps):
            return self.full
        here = self.plan.steps[step]
        percent = here.mirror_percent or self.plan.percent(here.weight)
        return canary_replicas(self.full, percent, self.plan.min_canary_replicas, here.canary_replicas)

    def follow_stable(self) -> None:
        """R is read again upwards: an autoscaler may have raised stable since."""
        seen = self.observed.side(self.serving).replicas if self.serving is not None else 0
        if seen > (self.memory.replicas or 0):
            self.remember(replicas=seen)

    # --- moves ------------------------------------------------------------------------------------------------

    def set(self, **fields: Any) -> None:
        self.rollout = replace(self.rollout, **fields)

    def remember(self, **fields: Any) -> None:
        self.memory = replace(self.memory, **fields)

    def go(self, state: RolloutState, reason: str = "") -> None:
        """Enter a state: its time begins, and its deadline is set."""
        self.set(
            state=state,
            state_since=self.now,
            reason=reason,
            deadline=self._deadline(state),
            held_from="",
            ended="yes" if state in FINAL else "no",
        )
        self.notes.append(f"{state}: {reason}" if reason else state)

    def weigh(self, weight: int, *, step: int | None = None) -> None:
        """Want another weight: its own time begins when it was seen."""
        self._route_changed = self._route_changed or weight != self.rollout.want
        self.set(want=weight, step=self.rollout.step if step is None else step)
        self.remember(clock=None, counted={}, confirmed=False, carried=self.memory.carried or weight > 0)

    def close(self) -> None:
        """The last phase of an end: what belonged to the rollout leaves the route, what was left is scaled away."""
        self.remember(phase="closing", confirmed=False)
        self._route_changed = True

    def give_back(self, cause: Cause, why: str) -> None:
        """Traffic back to stable, from any state that has not passed it on for good."""
        state = self.rollout.state
        if state in FINAL:
            return
        if state == "completing" and self.memory.moved:
            self.notes.append(f"{why}: {self.to} is the stable revision already; `pointsman undo` goes back")
            return
        if state == "queued":
            self.remember(cause=cause)
            self.go(ENDS_AS[cause], why)
            return
        if state == "giving_back":
            present = self.memory.cause
            if present is None or RANK[cause] > RANK[present]:
                self.remember(cause=cause)
                self.set(reason=why)
                self._block(cause, why)
            self.notes.append(why)
            return
        self.go("giving_back", why)
        self.remember(cause=cause, phase="moving", drained=None, confirmed=False, stuck=False, counted={})
        self._block(cause, why)
        if cause != "superseded":
            self._announce_end(cause, why)

    def announce(self, notice: NoticeKind, text: str) -> None:
        service = f"{self.plan.namespace}/{self.plan.name}"
        self.actions.append(Announce(notice, f"{service}: {self.to} {_TITLES[notice]}", text))

    def decision(self) -> Decision:
        self.set(memory=remembered(self.memory))
        return Decision(self.rollout, tuple(self.actions), tuple(self.notes))

    def _block(self, cause: Cause, why: str) -> None:
        if cause in BLOCKS and self.rollout.kind == "roll_out" and self.rollout.from_revision != self.to:
            self.actions.append(Block(self.to, why))

    def _announce_end(self, cause: Cause, why: str) -> None:
        failed = ENDS_AS[cause] == "failed"
        self.announce("RolloutFailed" if failed else "RolloutRolledBack", why)

    def _deadline(self, state: RolloutState) -> datetime | None:
        match state:
            case "queued" | "promoted" | "rolled_back" | "aborted" | "superseded" | "failed":
                return None
            case "pending":
                return self.now + PENDING_AT_MOST
            case "placing":
                return self.now + timedelta(seconds=self.plan.deadlines.placing_s)
            case "provisioning":
                return self.now + timedelta(seconds=self.plan.deadlines.provisioning_s)
            case "stepping" | "held" | "baking":
                return self.memory.due
            case "completing":
                return self.now + COMPLETING_AT_MOST
            case "giving_back":
                return self.now + GIVING_BACK_AT_MOST
            case _:
                assert_never(state)
