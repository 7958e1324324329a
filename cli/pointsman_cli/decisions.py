"""A decision of the audit log in one line, for people."""

from collections.abc import Mapping
from datetime import UTC

from pointsman.core.records import DecisionRecord
from pointsman_cli.output import coloured, state_text

__all__ = ["line", "why"]

_STATE_WIDTH = len("provisioning")
_WEIGHT_WIDTH = len("100%")
_VERDICT_WIDTH = len("roll_back")


def line(decision: DecisionRecord, weight_total: int) -> str:
    """When (UTC), the state after it, the weight wanted, the verdict, and why."""
    after = decision.after
    state = state_text(str(after.get("state", "")), _number(after, "step"), "")
    weight = f"{100 * _number(after, 'want') / weight_total:g}%" if "want" in after else ""
    verdict = after.get("verdict")
    action = str(verdict.get("action", "")) if isinstance(verdict, Mapping) else ""
    cells = ((state, _STATE_WIDTH), (weight, _WEIGHT_WIDTH), (action, _VERDICT_WIDTH))
    aligned = "  ".join(coloured(text) + " " * (width - len(text)) for text, width in cells)
    return f"{decision.at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}  {aligned}  {why(decision, weight_total)}".rstrip()


def why(decision: DecisionRecord, weight_total: int) -> str:
    """The decision's reason; where that only names the state, or was said before, what has changed."""
    before, after = decision.before, decision.after
    state = str(after.get("state", ""))
    reason = decision.reason.removeprefix(f"{state}: ")
    if reason not in ("", state, before.get("reason")):
        return reason
    changes = []
    if before.get("state") != state:
        changes.append(f"was {str(before.get('state')).replace('_', ' ')}")
    for name, text in (("want", "asked for"), ("seen", "in force")):
        if name in after and before.get(name) != after[name]:
            changes.append(f"{100 * _number(after, name) / weight_total:g} % {text}")
    return ", ".join(changes) or "goes on"


def _number(values: Mapping[str, object], name: str) -> int:
    return int(str(values.get(name) or 0))
