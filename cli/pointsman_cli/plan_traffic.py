"""What each step of a plan could detect at the service's present traffic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pointsman.core.judge.power import detectable
from pointsman.core.judge.ratio import bad_rate
from pointsman.core.names import Ref
from pointsman.core.signals import is_google
from pointsman.documents.scalars import duration
from pointsman.errors import PointsmanError
from pointsman.ports import Cluster, Metrics

if TYPE_CHECKING:
    from pointsman.documents.effective import EffectiveService

__all__ = ["Traffic", "foresight", "traffic_of"]

LOOK = timedelta(seconds=10)
LOOK_GOOGLE = timedelta(minutes=30)
"""Over so long a time present traffic is taken: a load balancer's counts come by the minute."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests a second to the service, and the share of bad answers among what stable has answered."""

    per_second: float
    bad: float


def traffic_of(
    metrics: Metrics, namespace: str, service: str, stable: str, at: datetime, gateway_class: str
) -> Traffic | None:
    """None where nothing was counted lately. Raises what the metric source raises."""
    span = LOOK_GOOGLE if is_google(gateway_class) else LOOK
    before, after = (metrics.gateway(namespace, service, when) for when in (at - span, at))
    requests = sum(max(0, count - before.get(name, 0)) for name, count in after.items() if name in before)
    if not requests:
        return None
    pods = metrics.pods(namespace, service, [stable], at).get(stable, ())
    answered = sum(pod.requests for pod in pods)
    return Traffic(requests / span.total_seconds(), bad_rate(sum(pod.bad.get("5xx", 0) for pod in pods), answered))


def foresight(service: "EffectiveService", traffic: Traffic) -> list[str]:
    """One sentence a step, and one for all steps: from how many times stable's share of bad answers on a worse
    version is likely found there."""
    steps: list[tuple[float, float]] = []
    found = []
    for step in service.policy.steps:
        if step.weight is None:
            continue
        share, seconds = step.weight / 100.0, duration(step.hold).total_seconds()
        if not 0.0 < share < 1.0:
            continue
        steps.append((share, traffic.per_second * share * seconds))
        found.append(f"{step.weight:g} %: {_sentence(traffic, steps[-1:])}")
    if len(steps) > 1:
        found.append(f"all steps: {_sentence(traffic, steps)}")
    return found


def gateway_class_of(cluster: Cluster, service: "EffectiveService") -> str:
    """The class of the service's Gateway; '' where it can't be read."""
    gateway = Ref("gateway.networking.k8s.io/v1", "Gateway", service.gateway.namespace, service.gateway.name)
    try:
        found = cluster.get(gateway)
    except PointsmanError:
        return ""
    spec = found.get("spec") if found is not None else None
    return str(spec.get("gatewayClassName", "")) if isinstance(spec, dict) else ""


def _sentence(traffic: Traffic, steps: Sequence[tuple[float, float]]) -> str:
    times = detectable(traffic.bad, steps)
    requests = sum(count for _, count in steps)
    about = f"about {requests:,.0f} requests"
    return f"{about}, bad answers from ×{times:.3g} on are found" if times is not None else f"{about}, too few to judge"
