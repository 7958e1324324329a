"""The watch after the last step, when nothing is left to compare with: an e-detector.

Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2022): per
alternative S ← (S + 1)·e, the Shiryaev–Roberts form. Where the null holds, a false alarm comes after 1/c ticks at the
earliest on average, for ever. The null here is an assumption about a *rate* ("at most 1.3 times what stable had"), not
a comparison: an incident of the platform raises it as well. So its alarm is weaker, and tells people; it moves nothing.
"""

from dataclasses import dataclass, field
from math import exp, log, log1p
from typing import cast

from pointsman.core.judge.onset import log_sum

__all__ = ["Detector"]

LIMIT_TIMES = 1.3
WORSE = (2.0, 5.0, 20.0, 100.0)
"""How many times the limit is bet on."""

FALSE_ALARM_EVERY_S = 10 * 86_400.0
"""Mean time to a false alarm, at least: ten days of ticks."""


@dataclass(slots=True)
class Detector:
    """`logs` is log S for each alternative."""

    logs: list[float] = field(default_factory=lambda: [-745.0] * len(WORSE))

    def take(self, bad: int, requests: int, rate: float) -> None:
        """One tick of all traffic; `rate` is stable's share of bad answers before."""
        limit = min(0.9, LIMIT_TIMES * max(rate, 1e-6))
        for index, times in enumerate(WORSE):
            worse = min(times * limit, (1.0 + limit) / 2.0, 0.98)
            nats = bad * log(worse / limit) + (requests - bad) * log((1.0 - worse) / (1.0 - limit))
            before = self.logs[index]
            more = before + log1p(exp(-before)) if before > 0.0 else log1p(exp(before))
            self.logs[index] = max(-745.0, min(300.0, more + nats))

    @property
    def value(self) -> float:
        """log of the mean of S."""
        return log_sum([logs - log(len(WORSE)) for logs in self.logs])

    def is_alarmed(self, tick_s: float) -> bool:
        return self.value >= log(FALSE_ALARM_EVERY_S / max(tick_s, 0.1))

    def as_json(self) -> list[float]:
        return self.logs

    @classmethod
    def of(cls, data: object) -> "Detector":
        return cls(list(cast("list[float]", data))) if data is not None else cls()
