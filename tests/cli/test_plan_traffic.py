"""What each step of a plan detects at present traffic."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.handlers.fakes import FakeMetrics

from pointsman.core.judge.ticks import PodCounters
from pointsman.documents import load
from pointsman.documents.effective import EffectiveService, effective
from pointsman_cli.plan_traffic import Traffic, foresight, traffic_of

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def service(steps: str) -> EffectiveService:
    files = {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in DEMO.rglob("*.yaml")}
    policy = f"apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: p}}\nspec: {{steps: {steps}}}\n"
    files["teams/demo/p.yaml"] = policy.encode()
    files["teams/demo/digits.yaml"] = files["teams/demo/digits.yaml"].replace(b"spec:\n", b"spec:\n  policy: p\n", 1)
    loaded = load(files)
    assert loaded.config is not None, [str(fault) for fault in loaded.faults]
    return effective(loaded.config, project="lab")["demo/digits"]


def test_traffic_is_what_the_gateway_counted_lately_and_stable_answered_badly() -> None:
    source = FakeMetrics()
    source.seen = [(NOW - timedelta(seconds=10), {"digits-1": 5000}), (NOW, {"digits-1": 5560, "digits-2": 9})]
    source.samples["digits-1"] = [PodCounters("*", NOW - timedelta(hours=1), NOW, 9900, {"5xx": 50})]
    found = traffic_of(source, "demo", "digits", "digits-1", NOW, "envoy")
    assert found is not None
    assert found.per_second == 56.0
    assert found.bad == pytest.approx(50.5 / 10_000)


def test_a_service_without_requests_has_no_traffic() -> None:
    source = FakeMetrics()
    source.seen = [(NOW - timedelta(seconds=10), {"digits-1": 5000}), (NOW, {"digits-1": 5000})]
    assert traffic_of(source, "demo", "digits", "digits-1", NOW, "envoy") is None


def test_each_step_says_what_it_detects_and_all_say_more() -> None:
    steps = "[{weight: 5, hold: 10m}, {weight: 25, hold: 10m}, {weight: 50, hold: 10m}]"
    assert foresight(service(steps), Traffic(56.0, 0.005)) == [
        "5 %: about 1,680 requests, bad answers from ×3.07 on are found",
        "25 %: about 8,400 requests, bad answers from ×1.98 on are found",
        "50 %: about 16,800 requests, bad answers from ×1.89 on are found",
        "all steps: about 26,880 requests, bad answers from ×1.55 on are found",
    ]


def test_a_step_with_hardly_any_request_says_so() -> None:
    steps = "[{mirrorPercent: 20, hold: 1h}, {weight: 1, hold: 1m}]"
    assert foresight(service(steps), Traffic(0.1, 0.005)) == ["1 %: about 0 requests, too few to judge"]
