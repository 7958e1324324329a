"""*Rollouts*: what is under way, what the judge sees, what was prevented."""

from dashboards.panels import (
    CHOSEN,
    Dashboard,
    Panel,
    Query,
    Row,
    Threshold,
    backends,
    by_revision,
    counted,
    mean,
    quantile,
    summed,
    total,
)
from pointsman.core.metric_names import MODEL_DRIFT, MODEL_QUALITY

__all__ = ["ROLLOUTS"]

REVISION = ("namespace", "service", "revision")


def _ended(outcome: str, kind: str = "roll_out") -> str:
    return total("rollouts_ended", f'{CHOSEN},kind="{kind}",outcome=~"{outcome}"')


def _numbers() -> Row:
    def number(title: str, promql: str, about: str, *, calm: bool = True) -> Panel:
        return Panel(title, "number", (Query(promql),), about, width=4, height=4, calm="any" if calm else "zero")

    bad = summed("rollout_bad_answers", f'{CHOSEN},outcome="rolled_back"')
    return Row(
        "Last 24 hours",
        (
            number("Promoted", _ended("promoted"), "Rollouts whose canary serves now."),
            number(
                "Prevented incidents",
                _ended("rolled_back"),
                "Rollouts that were given back because the canary was worse: each would have reached everybody.",
            ),
            number(
                "Bad answers let through",
                bad,
                "Bad answers of canaries that were given back: what it cost users to find out.",
            ),
            number("Ways back", _ended("promoted", "roll_back"), "Rollbacks by an alert, a revert or a person."),
            number("Aborted", _ended("aborted|superseded"), "Ended by a person, or by a newer revision."),
            number("Failed", _ended("failed"), "Ended by a deadline or an error (`pointsman why`).", calm=False),
        ),
    )


WEIGHTS = Row(
    "Weights and evidence",
    (
        Panel(
            "Canary's weight, asked and seen",
            "lines",
            (
                Query(mean("rollout_weight_asked", REVISION, CHOSEN, "<tick>"), "asked {{revision}}"),
                Query(mean("rollout_weight_seen", REVISION, CHOSEN, "<tick>"), "seen {{revision}}"),
            ),
            "Steps of the policy. Seen follows asked once the route's conditions are true; a gap that stays is a "
            "gateway that does not do as it is told.",
            unit="percent",
            width=12,
        ),
        Panel(
            "Evidence against the canary",
            "lines",
            (Query(quantile(0.5, "rollout_evidence", REVISION, CHOSEN, "<tick>"), "{{revision}}"),),
            "In nats. A healthy canary stays below 4.6 with 99 % probability over the whole rollout, however often one "
            "looks; beyond it is given back. (Profile Safe: 6.9; Sensitive: 3.0.)",
            width=12,
            thresholds=(Threshold(4.605, "given back: 100 to 1"),),
        ),
        Panel(
            "Verdicts",
            "bars",
            (Query(counted("rollout_verdicts", ("action",), CHOSEN), "{{action}}"),),
            "One a tick. Many `hold` are missing data, or a stable that fails too.",
            width=8,
        ),
        Panel(
            "States entered",
            "bars",
            (Query(counted("rollout_states", ("state",), CHOSEN), "{{state}}"),),
            "The way of the rollouts: placing, stepping, baking, completing; giving_back is the way back.",
            width=8,
        ),
        Panel(
            "Time to a decision",
            "lines",
            (
                Query(quantile(0.5, "rollout_duration", ("outcome",), window="<sweep>"), "median, {{outcome}}"),
                Query(quantile(0.95, "rollout_duration", ("outcome",), window="<sweep>"), "p95, {{outcome}}"),
            ),
            "From a rollout's opening to its end. Going back is to be much faster than going forward.",
            unit="s",
            width=8,
        ),
    ),
)

BAD = 'response_code_class=~"500|0"'

SERVED = Row(
    "What users get, by revision",
    (
        Panel(
            "Requests",
            "area",
            (Query(backends("request_count", "", ""), "{{backend}}"),),
            "At the load balancer, by `namespace-revision`: the split as it is.",
            unit="reqps",
        ),
        Panel(
            "Errors",
            "lines",
            (
                Query(
                    f"{backends('request_count', '', BAD)} / on (backend) {backends('request_count', '', '')}",
                    "{{backend}}",
                ),
            ),
            "Share of answers that are 5xx, or none at all.",
            unit="percentunit",
        ),
        Panel(
            "Latency",
            "lines",
            (
                Query(
                    f"histogram_quantile(0.5, {backends('backend_latencies', '_bucket', '', ('le',))})",
                    "median {{backend}}",
                ),
                Query(
                    f"histogram_quantile(0.99, {backends('backend_latencies', '_bucket', '', ('le',))})",
                    "p99 {{backend}}",
                ),
            ),
            "From the request's first byte to a backend until the answer's last: of a streaming model the whole "
            "generation.",
            unit="ms",
        ),
    ),
)

MODELS = Row(
    "Models, as they tell themselves",
    (
        Panel(
            "Quality",
            "lines",
            (Query(by_revision(MODEL_QUALITY), "{{revision}}"),),
            "The gauge `model_quality` of the model's server, or of a job that knows the true answers: 0 to 1.",
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Drift",
            "lines",
            (Query(by_revision(MODEL_DRIFT), "{{revision}}"),),
            "The gauge `model_drift`: how far what is asked has moved from what was learned. Beyond 0.25 it is another "
            "world.",
            width=12,
            thresholds=(Threshold(0.25, "another world"),),
        ),
    ),
)

ROLLOUTS = Dashboard(
    "rollouts",
    "pointsman: rollouts",
    "Weights asked and seen, the evidence behind each verdict, what users get by revision, and what was prevented.",
    (_numbers(), WEIGHTS, SERVED, MODELS),
    {
        "namespace": counted("rollouts_opened", ("namespace",), window="30d"),
        "service": counted("rollouts_opened", ("service",), window="30d"),
    },
)
