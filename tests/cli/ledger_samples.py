"""Records as a few days of work leave them, dated back from now.

Ages are half-way between two of those that are shown (20 h 30 min is `20h`), so that no test depends on its own speed.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.core.encoding import encode
from pointsman.core.records import (
    DecisionRecord,
    EventRecord,
    HeadRecord,
    RevisionStatus,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.core.rollout import Memory, remembered
from pointsman.core.rollout_plan import Deadlines, Plan, StepPlan

__all__ = ["NEW", "OLD", "ago", "decision", "event", "head", "plan", "revision", "rollout", "service"]

OLD, NEW = "digits-0a1b2c3d", "digits-4e5f6a7b"


def ago(hours: float) -> datetime:
    """So many hours before now, and half an hour more; of times to come, less."""
    return datetime.now(UTC) - timedelta(hours=hours, minutes=30)


def service(name: str = "digits", namespace: str = "demo", **fields: Any) -> ServiceRecord:
    return ServiceRecord(**{"cluster": "c1", "namespace": namespace, "name": name, "stable": OLD, **fields})


def revision(**fields: Any) -> RevisionStatus:
    return RevisionStatus(**{"placed": "warm", "since": ago(30), "good": True, "model": "gs://models/1", **fields})


def plan(**fields: Any) -> Plan:
    """5, 25 and 50 %, forty hours each, then a bake of forty."""
    known: dict[str, Any] = {
        "cluster": "projects/lab/locations/us-central1/clusters/c1",
        "namespace": "demo",
        "name": "digits",
        "gateway": "models",
        "gateway_namespace": "gateway",
        "placement": {"replicas": 3},
        "hostnames": ("digits-demo.example.com",),
        "path": "/",
        "request_timeout_s": 1.0,
        "access": "Open",
        "replicas": 3,
        "probe_path": "/health",
        "steps": tuple(StepPlan(weight, 144_000.0) for weight in (5, 25, 50)),
        "bake_s": 144_000.0,
        "bake_weight": 98,
        "weight_total": 100,
        "min_canary_replicas": 1,
        "judge": {},
        "metric_sets": ("Gateway",),
        "enforced": True,
        "min_requests": 20,
        "without_data_wait_s": 60.0,
        "without_data_then": "RollBack",
        "when_stable_unhealthy": "Hold",
        "on_new_revision": "Supersede",
        "deadlines": Deadlines(3600.0, 1200.0, 86400.0),
        "history_limit": 3,
        "pool": "l4",
    }
    return Plan(**{**known, **fields})


def rollout(
    name: str, state: str = "stepping", *, memory: Memory | None = None, planned: Plan | None = None, **fields: Any
) -> RolloutRecord:
    ended = state in ("promoted", "rolled_back", "aborted", "superseded", "failed")
    known: dict[str, Any] = {
        "id": name,
        "kind": "roll_out",
        "service": "c1/demo/digits",
        "generation": 1,
        "from_revision": OLD,
        "to_revision": NEW,
        "state": state,
        "plan": encode(planned or plan()),
        "cause": "event-1",
        "commit": "c0ffee" + "0" * 34,
        "started_at": ago(20),
        "state_since": ago(12),
        "memory": remembered(memory or Memory()),
        "ended": "yes" if ended else "no",
    }
    return RolloutRecord(**{**known, **fields})


def decision(of: str, number: int, state: str, **fields: Any) -> DecisionRecord:
    after = {"state": state, **fields.pop("after", {})}
    known: dict[str, Any] = {
        "rollout": of,
        "number": number,
        "at": datetime(2026, 11, 22, 12, 0, number, tzinfo=UTC),
        "kind": "state",
        "inputs": {"tick": None},
        "before": {},
        "after": after,
        "reason": state,
    }
    return DecisionRecord(**{**known, **fields})


def event(name: str, **fields: Any) -> EventRecord:
    known: dict[str, Any] = {
        "event": name * 8,
        "id": f"delivery-{name}",
        "source": "//github.com/acme/config",
        "type": "dev.pointsman.repo.pushed.v1",
        "subject": "refs/heads/main@c0ffee" + "0" * 34,
        "received_at": ago(20),
        "payload_sha256": "0" * 64,
        "state": "done",
        "lease_until": ago(19),
        "expires_at": ago(-700),
        "result": "applied",
        "reason": "c0ffee000000: demo/digits roll out",
    }
    return EventRecord(**{**known, **fields})


def head(**fields: Any) -> HeadRecord:
    return HeadRecord(
        **{
            "repository": "https://github.com/acme/config.git",
            "branch": "main",
            "commit": "c0ffee" + "0" * 34,
            "applied_at": ago(20),
            **fields,
        }
    )
