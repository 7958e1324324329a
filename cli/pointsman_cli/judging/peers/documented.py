"""The peers at the settings of their own documentation, and two rules that people write themselves.

Steps and weights are the recorded rollout's, not theirs: what is compared is the decision, on the same data.
"""

from collections.abc import Sequence

from pointsman_cli.judging.peers.alert import Alert
from pointsman_cli.judging.peers.argo import Argo
from pointsman_cli.judging.peers.bayes import Bayes
from pointsman_cli.judging.peers.flagger import Flagger
from pointsman_cli.judging.peers.iter8 import Iter8
from pointsman_cli.judging.peers.kayenta import Kayenta, Measured
from pointsman_cli.judging.peers.kayenta_judge import Settings
from pointsman_cli.judging.peers.windows import Outcome, Query, Window
from pointsman_cli.judging.peers.ztest import ZTest

__all__ = ["DOCUMENTED", "Setting", "outcomes"]

Setting = Argo | Flagger | Kayenta | Iter8 | Alert | ZTest | Bayes
"""A peer with its settings. `decide(windows, over=…)` says what it makes of a rollout's ticks, oldest first."""

_RISE = Settings(direction="increase", critical=True)
_ERRORS = Measured("errors", Query("errors"), _RISE)
_LATENCY = Measured("latency p99", Query("latency", 0.99), _RISE)

DOCUMENTED: tuple[Setting, ...] = (
    Argo("Argo Rollouts: 5 m, error rate <= 5 %, failureLimit 3", interval_s=300.0, success_max=0.05, failure_limit=3),
    Argo("Argo Rollouts: 60 s x 5 in each step, error rate <= 5 %", success_max=0.05, count=5, each_step=True),
    Flagger("Flagger: 1 m, success >= 99 %, threshold 5", threshold=5, success_min_percent=99.0),
    Flagger("Flagger: 1 m, success >= 99 %, threshold 10", threshold=10, success_min_percent=99.0),
    Flagger(
        "Flagger: 1 m, success >= 99 %, p99 <= 500 ms, threshold 5",
        threshold=5,
        success_min_percent=99.0,
        latency_max_ms=500.0,
    ),
    Flagger(
        "Flagger: 1 m, success >= 99 %, p99 <= 500 ms, threshold 10",
        threshold=10,
        success_min_percent=99.0,
        latency_max_ms=500.0,
    ),
    Kayenta("Kayenta: error rate in 1 m points, every 10 m, critical", (_ERRORS,)),
    Kayenta("Kayenta: error rate and p99 in 1 m points, every 10 m, critical", (_ERRORS, _LATENCY)),
    Iter8("Iter8: error rate since the start <= 1 %, 1 m", 0.01),
    Alert("Prometheus alert: error rate > 2 x stable's over 1 m"),
    ZTest("z-test on the error rate since the start, 1 %, 1 m"),
    Bayes("Bayes: worse error rate with probability > 99 %, 1 m"),
)


def outcomes(windows: Sequence[Window], *, over: bool) -> tuple[Outcome, ...]:
    """What each of them would have done with these ticks."""
    return tuple(rule.decide(windows, over=over) for rule in DOCUMENTED)
