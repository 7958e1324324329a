"""Whether an alert after a promotion is the release's doing: by time, scope and dose.

At 100 % nothing is left to compare with, so this is weaker than a verdict: it can say that the release is *not* to
blame, and otherwise only what speaks for it. Time: a cause comes before its effect. Scope: what hits services that
nobody changed is none of this release's. Dose: what the judge had excluded at 98 % of the traffic is no likelier at
100 %.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

__all__ = ["SCOPE", "Attribution", "attribute"]

SCOPE = timedelta(minutes=10)
"""Alerts of other services so shortly before are of the same incident."""

OTHERS_MIN = 2
"""So many other services, at least, make an incident everybody's."""

HARMLESS = 0.01
"""Extra bad answers per request: what a bake has excluded beyond this is called excluded."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """`blame` is `release` where it may be undone, `elsewhere` where not; `why` is one sentence."""

    blame: Literal["release", "elsewhere"]
    why: str


def attribute(
    *,
    alert_since: datetime,
    rollout_since: datetime,
    promoted_at: datetime,
    others: Collection[str],
    numbers: Mapping[str, object],
) -> Attribution:
    """`others` are services without a release of their own that alerted within `SCOPE`; `numbers` are those of the
    rollout's last verdict."""
    if alert_since < rollout_since:
        return Attribution("elsewhere", f"it began at {alert_since:%H:%M:%S} UTC, before the rollout did")
    if len(others) >= OTHERS_MIN:
        named = ", ".join(sorted(others)[:3])
        return Attribution("elsewhere", f"{len(others)} other services alerted within 10 min ({named})")
    after = (alert_since - promoted_at).total_seconds()
    when = f"{after / 60:.0f} min after 100 %" if after >= 0 else "before all traffic had moved"
    harm = numbers.get("harm_at_most")
    if isinstance(harm, (int, float)) and harm <= HARMLESS:
        return Attribution(
            "release", f"{when}, although the bake had excluded more than {100 * harm:.2g} % extra bad answers"
        )
    return Attribution("release", f"{when}, and the bake had not excluded it")
