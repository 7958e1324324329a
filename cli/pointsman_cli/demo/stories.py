"""The stories: each does one thing, waits for what should follow, and says whether it did."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pointsman.core.records import DecisionRecord, HeadRecord, PoolRecord, RolloutRecord
from pointsman_cli.demo import documents
from pointsman_cli.demo.alerting import watch_load
from pointsman_cli.demo.counters import Stretch
from pointsman_cli.demo.outcome import Outcome, WeightCheck
from pointsman_cli.demo.stage import NAMESPACE, RATE, Stage, host

__all__ = ["STORIES", "Story"]

ROLLOUT_S = 90.0
SOON_S = 30.0
DIGITS = "digits"
CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Story:
    """A story: its letter and name, what it tells, and how it plays."""

    letter: str
    name: str
    title: str
    play: Callable[[Stage, "Story"], Outcome]


class _Telling:
    """One story under way: when it began, and what came of it."""

    def __init__(self, stage: Stage, story: Story, service: str = DIGITS) -> None:
        self._stage = stage
        self._story = story
        self._host = host(service)
        self._begun = time.time()

    def outcome(self, ok: bool, reason: str, rollout: RolloutRecord | None = None) -> Outcome:
        """`ok` and `reason` as they are; numbers from the load generator, the decision log and Envoy."""
        ended = time.time()
        assert self._stage.load
        asked = self._stage.load.window(self._begun, ended, self._host)
        decisions = self._stage.decisions(rollout.id) if rollout else []
        weights = _weights(self._stage, rollout, decisions) if rollout else ()
        verdict = (rollout.verdict or {}) if rollout else {}
        return Outcome(
            name=self._story.name,
            title=self._story.title,
            ok=ok and all(check.within_binomial_99_9 for check in weights),
            seconds=round(ended - self._begun, 1),
            requests=len(asked.requests),
            failed_requests=asked.failed,
            bad_requests_seen=asked.bad,
            highest_canary_weight=_highest(rollout, decisions),
            verdict=str(verdict.get("action", "-")),
            reason=reason,
            weights=weights,
            rollout=rollout.id if rollout else "",
        )


def _highest(rollout: RolloutRecord | None, decisions: Sequence[DecisionRecord]) -> float:
    if rollout is None:
        return 0.0
    wanted = [_number(decision.after.get("want")) for decision in decisions]
    return 100 * max([rollout.want, *wanted], default=0) / rollout.weight_total


def _weights(stage: Stage, rollout: RolloutRecord, decisions: Sequence[DecisionRecord]) -> tuple[WeightCheck, ...]:
    """Each stretch in which a split had been seen and no other was wanted, against Envoy's counters.

    A newer rollout of the service writes weights of its own: there the older one's last stretch ends.
    """
    assert stage.counters
    service = rollout.service.rpartition("/")[2]
    newer = [other.started_at for other in stage.rollouts(service) if other.started_at > rollout.started_at]
    found: list[WeightCheck] = []
    since: datetime | None = None
    for decision, following in zip(decisions, [*decisions[1:], None], strict=True):
        want, seen = _number(decision.after.get("want")), _number(decision.after.get("seen"))
        settled = want == seen and 0 < want < rollout.weight_total
        since = (since or decision.at) if settled else None
        leaves = following is None or _number(following.after.get("want")) != want
        if since is None or not leaves or rollout.from_revision is None:
            continue
        until = min([following.at if following else datetime.now(UTC), *newer])
        stretch = Stretch(
            rollout.id,
            f"{NAMESPACE}/{rollout.to_revision}",
            f"{NAMESPACE}/{rollout.from_revision}",
            100 * want / rollout.weight_total,
            since,
            until,
        )
        if check := stage.counters.check(stretch):
            found.append(check)
        since = None
    return tuple(found)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _ended(stage: Stage, rollout: RolloutRecord) -> RolloutRecord:
    def ask() -> RolloutRecord | None:
        now = stage.read(rollout.id)
        return now if now.ended == "yes" else None

    return stage.until(ask, f"rollout {rollout.id} ends", ROLLOUT_S)


def _started(stage: Stage, service: str, commit: str) -> RolloutRecord:
    return stage.until(lambda: stage.rollout(service, commit), f"{service} is rolled out", SOON_S)


def _reached(stage: Stage, rollout: RolloutRecord, weight: int) -> RolloutRecord:
    """Once the rollout's canary was seen at `weight` percent or more."""

    def ask() -> RolloutRecord | None:
        now = stage.read(rollout.id)
        return now if now.ended == "yes" or 100 * now.seen >= weight * now.weight_total else None

    return stage.until(ask, f"{weight} % was seen", ROLLOUT_S)


# --- the stories ----------------------------------------------------------------------------------------------


def _first_push(stage: Stage, story: Story) -> Outcome:
    assert stage.load
    telling = _Telling(stage, story)
    commit = stage.push(documents.first(stage.models, stage.environment["POINTSMAN_MLFLOW_URL"]), "Serve digits v1")
    rollout = _ended(stage, _started(stage, DIGITS, commit))
    stage.until(lambda: stage.serving(DIGITS), "v1 answers", SOON_S)
    stage.load.rate(host(DIGITS), RATE)
    time.sleep(1)
    saved = stage.ledger.read(PoolRecord, "cpu")
    pool = saved.record if saved else None
    ok = rollout.state == "promoted" and pool is not None and len(pool.stockouts) == 1 and pool.candidate is not None
    out = ", ".join(pool.stockouts) if pool else ""
    return telling.outcome(ok, f"{out} is out of stock, {pool.candidate if pool else '-'} is had; v1 serves", rollout)


def _good_version(stage: Stage, story: Story) -> Outcome:
    telling = _Telling(stage, story)
    commit = stage.push(documents.served(stage.models, "v2"), "Serve digits v2")
    rollout = _ended(stage, _started(stage, DIGITS, commit))
    assert stage.load
    recent = stage.load.recent(1.0)
    all_new = bool(recent.requests) and recent.by("v2") == len(recent.requests)
    outcome = telling.outcome(rollout.state == "promoted" and all_new, "5 → 25 → 50 → bake → 100 %", rollout)
    return _lossless(outcome)


def _bad_version(version: str) -> Callable[[Stage, Story], Outcome]:
    def play(stage: Stage, story: Story) -> Outcome:
        telling = _Telling(stage, story)
        commit = stage.push(documents.served(stage.models, version), f"Serve digits {version}")
        rollout = _ended(stage, _started(stage, DIGITS, commit))
        back_s = _back_within(stage, rollout)
        ok = rollout.state == "rolled_back" and back_s is not None and back_s <= 2
        blamed = (rollout.verdict or {}).get("reason", rollout.reason)
        back = "never" if back_s is None else f"{back_s:.1f} s after the verdict"
        return telling.outcome(ok, f"{blamed}; stable has 100 % {back}", rollout)

    return play


def _back_within(stage: Stage, rollout: RolloutRecord) -> float | None:
    """Seconds from the verdict to the last request that the gateway sent to the canary, by Envoy's own counters."""
    assert stage.counters
    decided = next(
        (decision.at for decision in stage.decisions(rollout.id) if decision.after.get("state") == "giving_back"), None
    )
    if decided is None:
        return None
    last = stage.counters.last_request(f"{NAMESPACE}/{rollout.to_revision}")
    return max(0.0, (last - decided).total_seconds()) if last else None


def _registered_version(stage: Stage, story: Story) -> Outcome:
    assert stage.load
    mlflow = f"{stage.environment['POINTSMAN_MLFLOW_URL']}/api/2.0/mlflow"
    stage.ask("POST", f"{mlflow}/registered-models/create", {"name": DIGITS})
    _register(stage, mlflow, "v1")
    _alias(stage, mlflow, "1")
    commit = stage.push(documents.follower(), "Serve what the registry calls champion")
    _ended(stage, _started(stage, CHAMPION, commit))
    stage.until(lambda: stage.serving(CHAMPION), "the champion answers", SOON_S)
    stage.load.rate(host(CHAMPION), RATE)
    telling = _Telling(stage, story, CHAMPION)
    before = len(stage.rollouts(CHAMPION))
    _register(stage, mlflow, "v2")
    _alias(stage, mlflow, "2")

    def newest() -> RolloutRecord | None:
        found = stage.rollouts(CHAMPION)
        return found[-1] if len(found) > before else None

    rollout = _ended(stage, stage.until(newest, "the alias starts a rollout", SOON_S))
    recent = stage.load.recent(1.0)
    moved = any(request.host == host(CHAMPION) and request.version == "v2" for request in recent.requests)
    stage.load.rate(host(CHAMPION), 0)
    return _lossless(telling.outcome(rollout.state == "promoted" and moved, "champion moved from 1 to 2", rollout))


def _register(stage: Stage, mlflow: str, version: str) -> None:
    stage.ask("POST", f"{mlflow}/model-versions/create", {"name": DIGITS, "source": f"file://{stage.models}/{version}"})
    stage.webhooks += 1


def _alias(stage: Stage, mlflow: str, version: str) -> None:
    stage.ask("POST", f"{mlflow}/registered-models/alias", {"name": DIGITS, "alias": CHAMPION, "version": version})
    stage.webhooks += 1


def _load_rises(stage: Stage, story: Story) -> Outcome:
    assert stage.load
    telling = _Telling(stage, story)
    stage.push({"teams/demo/busy.yaml": documents.RULE}, "Scale the pool when digits is busy")
    saved = stage.until(lambda: stage.ledger.read(PoolRecord, "cpu"), "the pool is known", SOON_S)
    before = saved.record
    watch_load(stage.site, above_per_s=1.5 * RATE)
    stage.load.rate(host(DIGITS), 2 * RATE)

    def scaled() -> PoolRecord | None:
        now = stage.ledger.read(PoolRecord, "cpu")
        return now.record if now and now.record.seen > before.seen else None

    pool = stage.until(scaled, "the pool is scaled", ROLLOUT_S)
    stage.load.rate(host(DIGITS), RATE)
    return telling.outcome(True, f"an incident opened; the pool went from {before.seen} to {pool.seen} nodes")


def _broken_document(stage: Stage, story: Story) -> Outcome:
    telling = _Telling(stage, story)
    before = stage.rollouts(DIGITS)
    commit = stage.push({documents.PATH: documents.BROKEN}, "Serve digits v9")

    def refused() -> HeadRecord | None:
        found = [saved.record for saved in stage.ledger.find(HeadRecord)]
        return next((head for head in found if head.refused == commit), None)

    head = stage.until(refused, "the commit is refused", SOON_S)
    unchanged = len(stage.rollouts(DIGITS)) == len(before) and head.commit != commit
    told = any("spec.replica:" in fault for fault in head.faults) and any("version:" in fault for fault in head.faults)
    return telling.outcome(unchanged and told, f"{len(head.faults)} faults: {head.faults[0]}")


def _reverted(stage: Stage, story: Story) -> Outcome:
    assert stage.load
    telling = _Telling(stage, story)
    rollout = _started(stage, DIGITS, stage.push(documents.served(stage.models, "v5"), "Serve digits v5"))
    _reached(stage, rollout, 5)
    reverted_at = time.time()
    stage.push(documents.served(stage.models, "v2"), "Revert")

    def given_back() -> RolloutRecord | None:
        now = stage.read(rollout.id)
        return now if now.ended == "yes" else None

    ended = stage.until(given_back, "the rollout gives back", SOON_S)
    last = stage.counters.last_request(f"{NAMESPACE}/{rollout.to_revision}") if stage.counters else None
    seconds = max(0.0, last.timestamp() - reverted_at) if last else 0.0
    stage.until(lambda: _settled(stage), "the way back ends", ROLLOUT_S)
    ok = ended.state == "superseded" and seconds < 10
    return _lossless(telling.outcome(ok, f"back {seconds:.1f} s after the push of the revert", stage.read(rollout.id)))


def _settled(stage: Stage) -> bool | None:
    return True if all(record.ended == "yes" for record in stage.rollouts(DIGITS)) else None


def _lost_webhook(stage: Stage, story: Story) -> Outcome:
    telling = _Telling(stage, story)
    stage.ask("PUT", f"{stage.site.url('git')}/local/v1/webhooks", {"drop": 1, "copies": 3})
    commit = stage.push(documents.served(stage.models, "v5"), "Serve digits v5, unheard")
    jobs = f"/v1/projects/{stage.site.project}/locations/{stage.site.location}/jobs"
    stage.ask("POST", f"{stage.site.url('scheduler')}{jobs}/sweep:run", {"scope": "all"})
    rollout = _ended(stage, _started(stage, DIGITS, commit))
    return _lossless(telling.outcome(rollout.state == "promoted", "no webhook came; the sweep found the push", rollout))


def _lossless(outcome: Outcome) -> Outcome:
    """The same, but no success where a request was lost."""
    return replace(outcome, ok=outcome.ok and outcome.failed_requests == 0)


STORIES: Sequence[Story] = (
    Story("a", "first-push", "a first push to an empty repository is served", _first_push),
    Story("b", "good-version", "a good version goes out in steps", _good_version),
    Story("c", "slow-version", "a version that answers slowly goes back", _bad_version("v3")),
    Story("d", "failing-version", "a version that fails a few requests goes back", _bad_version("v4")),
    Story("e", "registered-version", "a version registered in MLflow goes out", _registered_version),
    Story("f", "load-rise", "a rise in load scales the pool", _load_rises),
    Story("g", "broken-document", "a broken document changes nothing", _broken_document),
    Story("h", "revert", "a revert in the middle of a rollout goes back at once", _reverted),
    Story("i", "lost-webhook", "a push whose webhook was lost is found", _lost_webhook),
)
