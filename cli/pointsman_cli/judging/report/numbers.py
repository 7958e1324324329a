"""Every metric in one row: what was seen, how much worse it is, and what that is worth."""

from pointsman.core.judge.policy import Metric
from pointsman.core.judge.verdict import odds
from pointsman_cli.judging.course import Course, MetricSeen
from pointsman_cli.judging.report.effect_bands import between_text, times_text
from pointsman_cli.judging.report.html import table

__all__ = ["draw"]


def draw(course: Course) -> str:
    deciding = course.deciding
    if deciding is None:
        return ""
    rows = []
    for metric in course.policy.metrics:
        at = deciding.metric(metric.name)
        rows.append(
            (
                metric.name + ("" if metric.enforced else " (observed)"),
                at.seen or "not seen",
                times_text(at.effect) if at.effect is not None else "–",
                _band(at),
                _forgiven(metric) if course.is_forgiving(metric) else "–",
                odds(at.log_e),
                f"{100 * metric.weight:.0f} %",
                at.alternative or "–",
                str(at.onset) if at.onset else "–",
            )
        )
    heading = ("Metric", "Seen", "Effect", "Band", "Forgiven", "Evidence", "Weight", "Fits best", "Rising since")
    told = f"At tick {deciding.tick.seq}, which decided; each end of a band holds with 95 % confidence"
    return table(heading, rows, caption=told, numeric=2)


def _forgiven(metric: Metric) -> str:
    share = f"+{100 * metric.margin:g} %"
    return f"{share} or {metric.margin_ms:g} ms" if metric.margin_ms else share


def _band(at: MetricSeen) -> str:
    between = between_text(at)
    return f"{between} ({at.of})" if between and at.of != "ratio" else between or "–"
