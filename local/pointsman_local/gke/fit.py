"""Whether a pod would run on a node of some pool: selector, affinity, taints, resources. Pure.

As much of the scheduler as the cluster autoscaler simulates for pods like ours: required node affinity by
`matchExpressions`, no preferences, no inter-pod affinity, no volumes.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["is_unschedulable", "left", "occupies", "requests", "tolerates"]

Amounts = Mapping[str, int]

_FACTORS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


def is_unschedulable(pod: Mapping[str, Any]) -> bool:
    """Whether the scheduler found no node for this pod."""
    status = pod.get("status", {})
    if status.get("phase", "Pending") != "Pending" or pod.get("spec", {}).get("nodeName"):
        return False
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return False
    return any(
        condition.get("type") == "PodScheduled"
        and condition.get("status") == "False"
        and condition.get("reason") == "Unschedulable"
        for condition in status.get("conditions", ())
    )


def occupies(pod: Mapping[str, Any]) -> bool:
    """Whether a bound pod keeps its node in use: it has not ended and is no DaemonSet's."""
    owners = pod.get("metadata", {}).get("ownerReferences", ())
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not any(owner.get("kind") == "DaemonSet" for owner in owners)


def requests(pod: Mapping[str, Any]) -> dict[str, int]:
    """What the pod asks for, `cpu` in thousandths, and one of `pods`."""
    spec = pod.get("spec", {})
    total: dict[str, int] = {"pods": 1}
    for container in spec.get("containers", ()):
        for name, amount in _asked(container).items():
            total[name] = total.get(name, 0) + amount
    for container in spec.get("initContainers", ()):
        for name, amount in _asked(container).items():
            total[name] = max(total.get(name, 0), amount)
    return total


def left(free: Amounts, asked: Amounts) -> dict[str, int] | None:
    """What is left of `free` with a pod on it; None when it doesn't fit."""
    if any(free.get(name, 0) < amount for name, amount in asked.items() if amount):
        return None
    return {name: amount - asked.get(name, 0) for name, amount in free.items()}


def tolerates(pod: Mapping[str, Any], labels: Mapping[str, str], taints: Sequence[Mapping[str, str]]) -> bool:
    """Whether the pod may go to a node with these labels and taints."""
    spec = pod.get("spec", {})
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    if terms is not None and not any(
        all(_matches(expression, labels) for expression in term.get("matchExpressions", ())) for term in terms
    ):
        return False
    tolerations = spec.get("tolerations") or ()
    return all(
        taint.get("effect") == "PreferNoSchedule" or any(_covers(toleration, taint) for toleration in tolerations)
        for taint in taints
    )


def _asked(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources") or {}
    amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: _quantity(str(text), 1000 if name == "cpu" else 1) for name, text in amounts.items()}


def _quantity(text: str, unit: int) -> int:
    digits = text.rstrip("mkMGTKi")
    try:
        return int(Decimal(digits) * _FACTORS[text[len(digits) :]] * unit)
    except (InvalidOperation, KeyError):
        return 0  # the API server has refused it already


def _covers(toleration: Mapping[str, str], taint: Mapping[str, str]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") in (None, ""):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
