"""What the page of recovery promises of routes is so, on the lab's cluster: with no ledger, and with an old one."""

import copy
from pathlib import Path

from tests.handlers.rollout_cloud import Behaviour, Cloud, service

from pointsman.core.records import HeadRecord

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "disaster-recovery.md").read_text()


def lose_the_ledger(cloud: Cloud) -> None:
    cloud.ledger._rows.clear()
    cloud.ledger.put(HeadRecord("https://github.com/acme/config", "main", "c0", cloud.now))


def bad_answers(cloud: Cloud) -> float:
    return sum(float(counted["bad"]) for counted in cloud.counters.values())


def test_without_a_ledger_what_serves_and_is_asked_for_is_taken_over_as_it_is() -> None:
    assert "no weight moves, no pod restarts" in PAGE
    cloud = Cloud()
    serves = cloud.deployed("v1")
    cloud.tick(5)
    route, pods = cloud.weights[-1], [ref for ref in cloud.cluster.objects if ref.kind == "Pod"]
    lose_the_ledger(cloud)
    assert cloud.execute(cloud.push(service("v1"), "c1").id).run() == "promoted"
    cloud.tick(5)
    assert cloud.weights[-1] == route
    assert [ref for ref in cloud.cluster.objects if ref.kind == "Pod"] == pods
    assert cloud.service.stable == serves


def test_without_a_ledger_another_revision_takes_all_at_once_when_it_is_healthy() -> None:
    assert "keeps its traffic until the other is healthy" in PAGE
    cloud = Cloud()
    served = cloud.deployed("v1")
    began = len(cloud.weights)
    lose_the_ledger(cloud)
    rollout = cloud.push(service("v2"), "c1")
    cloud.behaviours[rollout.to_revision] = Behaviour(starts=False)
    execution = cloud.execute(rollout.id)
    for _ in range(5):
        cloud.tick(execution.step() or 0)
    assert cloud.route()[served] == 100
    cloud.behaviours[rollout.to_revision] = Behaviour()
    assert execution.run() == "promoted"
    shares = [weights.get(rollout.to_revision, 0) for _, weights in cloud.weights[began:]]
    assert set(shares) == {0, 100}
    assert bad_answers(cloud) == 0
    assert cloud.replicas()[served] == 1, "nothing on record to scale it by"
    assert "is left running" in PAGE


def old_ledger() -> tuple[Cloud, str, str]:
    """A cloud whose ledger believes that a rollout is at 25 %, which has long since ended; and its two revisions."""
    cloud = Cloud()
    before = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id)
    execution.run(until=lambda: cloud.route().get(rollout.to_revision) == 25)
    kept = copy.deepcopy(cloud.ledger._rows)
    assert execution.run() == "promoted"
    cloud.tick(30)
    cloud.ledger._rows = kept
    cloud.behaviours[before] = Behaviour(starts=False)  # its pods are gone, and new ones take their time
    cloud.tick(400)  # the lease of the execution that is on record is over
    return cloud, before, rollout.id


def test_an_old_ledger_gives_traffic_to_what_was_scaled_away() -> None:
    assert "An old ledger is worse than none" in PAGE
    cloud, before, rollout = old_ledger()
    execution = cloud.execute(rollout)
    for _ in range(5):
        cloud.tick(execution.step() or 0)
    assert cloud.route()[before] == 75
    assert bad_answers(cloud) > 0


def test_told_to_promote_before_anything_acts_an_old_ledger_moves_nothing() -> None:
    assert "pointsman promote digits --why 'ledger restored'" in PAGE
    cloud, _, rollout = old_ledger()
    cloud.command(rollout, "promote")
    assert cloud.execute(rollout).run() == "promoted"
    cloud.tick(5)
    assert bad_answers(cloud) == 0
    assert cloud.route() == {cloud.rollout(rollout).to_revision: 100}


def test_every_minute_of_seven_days_and_the_backups_are_those_that_terraform_makes() -> None:
    ledger = (Path(__file__).resolve().parents[2] / "bootstrap" / "terraform" / "ledger.tf").read_text()
    assert '"POINT_IN_TIME_RECOVERY_ENABLED"' in ledger
    assert f'"{7 * 86400}s"' in ledger
    assert "the last daily backup (7 days), weekly ones (14 weeks)" in PAGE
    assert f'"{14 * 7 * 86400}s"' in ledger
