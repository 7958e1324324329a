"""What machines there are: stock, reservations and quota, as the control call sets them.

    PUT /local/v1/stock
    {"machines": [{"machineType": "g2-standard-8", "provisioning": "Spot", "zone": "us-central1-a", "nodes": 0}],
     "reservations": [{"name": "l4-serving", "zone": "us-central1-a", "nodes": 2}],
     "quotas": [{"metric": "NVIDIA_L4_GPUS", "limit": 4}],
     "failures": [{"operationType": "SET_NODE_POOL_SIZE", "message": "Internal error.", "count": 1}],
     "times": {"node_start_s": 0.7}}

Keys that are left out stay as they are. A machine that no rule names is there in any number; of a rule,
`provisioning` and `zone` may be left out and then match all. A reservation that nobody told of has no machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

__all__ = ["Ask", "Failure", "Limit", "Quota", "Refusal", "Reservation", "Stock", "Times"]

_QUOTAS = {
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One node that somebody asks for, or has."""

    machine_type: str
    provisioning: str
    zone: str
    reservation: str
    cpus: int
    gpus: int
    accelerator: str

    def uses(self, metric: str) -> int:
        """How much of a quota metric this node takes."""
        if metric == "CPUS":
            return self.cpus
        scarce = self.provisioning in ("Spot", "FlexStart")
        name = _QUOTAS.get(self.accelerator, "")
        return self.gpus if name and metric == (f"PREEMPTIBLE_{name}" if scarce else name) else 0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `nodes` machines of a type; empty `provisioning` or `zone` match any."""

    machineType: str  # noqa: N815  (the names of the JSON)
    nodes: int
    provisioning: str = ""
    zone: str = ""

    def matches(self, ask: Ask) -> bool:
        return (
            self.machineType == ask.machine_type
            and self.provisioning in ("", ask.provisioning)
            and self.zone in ("", ask.zone)
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    name: str
    zone: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Quota:
    metric: str
    limit: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The next `count` operations of a type end with this error."""

    operationType: str  # noqa: N815
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. GKE takes minutes; what tests and the demo need is the order of things."""

    operation_s: float = 0.3
    """How long an operation runs beside what it waits for."""
    node_start_s: float = 0.7
    """From a node's creation until it is registered and ready."""
    give_up_s: float = 0.5
    """From a refused machine until the operation says so; GKE tries again for 35 minutes."""
    scan_s: float = 0.5
    """The autoscaler looks at least so often."""
    backoff_s: float = 5.0
    """How long the autoscaler leaves a node pool alone that had no machines; GKE: 5 minutes and more."""
    idle_s: float = 60.0
    """How long a node is empty before the autoscaler takes it away; GKE: 10 minutes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a machine isn't had: the code that stands in brackets in GKE's texts, and the text after it."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Stock:
    machines: tuple[Limit, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    quotas: tuple[Quota, ...] = ()
    failures: tuple[Failure, ...] = ()
    times: Times = field(default_factory=Times)

    def refusal(self, ask: Ask, project: str, having: Sequence[Ask]) -> Refusal | None:
        """Why `ask` isn't met while the machines `having` are in use; None when it is."""
        for quota in self.quotas:
            used = sum(other.uses(quota.metric) for other in having)
            if ask.uses(quota.metric) and used + ask.uses(quota.metric) > quota.limit:
                region = ask.zone.rpartition("-")[0]
                text = f"Quota '{quota.metric}' exceeded.  Limit: {quota.limit:.1f} in region {region}."
                return Refusal("GCE_QUOTA_EXCEEDED", text)
        if ask.reservation:
            held = sum(
                rule.nodes for rule in self.reservations if rule.name == ask.reservation and rule.zone == ask.zone
            )
            used = sum(1 for other in having if (other.reservation, other.zone) == (ask.reservation, ask.zone))
            if used >= held:
                name = f"projects/{project}/zones/{ask.zone}/reservations/{ask.reservation}"
                text = f"Specified reservation '{name}' does not have available resources for the request."
                return Refusal("GCE_STOCKOUT", text)
            return None
        for rule in self.machines:
            if rule.matches(ask) and sum(1 for other in having if rule.matches(other)) >= rule.nodes:
                zone = f"projects/{project}/zones/{ask.zone}"
                text = (
                    f"The zone '{zone}' does not have enough resources available to fulfill the request.  "
                    "Try a different zone, or try again later."
                )
                return Refusal("GCE_STOCKOUT", text)
        return None

    def take_failure(self, operation_type: str) -> tuple["Stock", str | None]:
        """The stock after one operation of this type, and the error it is to end with."""
        for index, failure in enumerate(self.failures):
            if failure.operationType == operation_type and failure.count > 0:
                rest = replace(failure, count=failure.count - 1)
                failures = (*self.failures[:index], rest, *self.failures[index + 1 :])
                return replace(self, failures=failures), failure.message
        return self, None

    def changed(self, body: Mapping[str, Any]) -> "Stock":
        """The stock after a control call. Raises ValueError naming what is wrong in `body`."""
        unknown = sorted(set(body) - {item.name for item in fields(self)})
        if unknown:
            known = ", ".join(item.name for item in fields(self))
            raise ValueError(f"unknown key {', '.join(unknown)}: known are {known}")
        try:
            return replace(
                self,
                machines=_rows(Limit, body, "machines", self.machines),
                reservations=_rows(Reservation, body, "reservations", self.reservations),
                quotas=_rows(Quota, body, "quotas", self.quotas),
                failures=_rows(Failure, body, "failures", self.failures),
                times=replace(self.times, **body.get("times", {})),
            )
        except TypeError as error:
            raise ValueError(str(error)) from error

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def _rows(kind: type[Any], body: Mapping[str, Any], key: str, before: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(kind(**row) for row in body[key]) if key in body else before
