"""Is the canary worse than the stable revision beside it? A pure fold over ticks of counters."""

from pointsman.core.judge.fold import Judge, judge
from pointsman.core.judge.policy import JudgePolicy
from pointsman.core.judge.ticks import Arm, PodCounters, Tick
from pointsman.core.judge.verdict import Verdict

__all__ = ["Arm", "Judge", "JudgePolicy", "PodCounters", "Tick", "Verdict", "judge"]
