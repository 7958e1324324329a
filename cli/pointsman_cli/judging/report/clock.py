"""Time along a chart: seconds since the first tick began."""

from collections.abc import Sequence

from pointsman_cli.judging.course import Course, Moment
from pointsman_cli.judging.lengths import length_text
from pointsman_cli.judging.report.svg import Plot, Scale, linear

__all__ = ["Clock"]

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 604800)
PIXELS_EACH = 76


class Clock:
    """The time axis that all charts of a rollout share."""

    def __init__(self, course: Course) -> None:
        self._start = course.moments[0].tick.since
        self.length_s = max(1.0, (course.moments[-1].tick.until - self._start).total_seconds())

        decided = course.deciding
        back = decided is not None and decided.verdict.action == "roll_back"
        self._decided_s = self.until_s(decided) if decided is not None and back else None

    def since_s(self, moment: Moment) -> float:
        """When the moment's tick began."""
        return (moment.tick.since - self._start).total_seconds()

    def until_s(self, moment: Moment) -> float:
        """When it ended."""
        return (moment.tick.until - self._start).total_seconds()

    def scale(self, plot: Plot) -> Scale:
        return linear(0.0, self.length_s, plot.x0, plot.x1)

    def axis(self, plot: Plot, scale: Scale) -> None:
        """Ticks at round times, as many as there is room for."""
        plot.axis_x(scale, [(second, length_text(second)) for second in self._ticks(plot)], "since the first tick")

    def mark_decision(self, plot: Plot, scale: Scale) -> None:
        """A line where the canary was rolled back; nothing where it was not."""
        if self._decided_s is None:
            return
        x = scale(self._decided_s)
        plot.rule(x, plot.y0, x, plot.y1, "decision")
        is_late = x > (plot.x0 + plot.x1) / 2
        plot.text(
            x - 5 if is_late else x + 5, plot.y1 - 8, "rolled back", "decision-label", "end" if is_late else "start"
        )

    def _ticks(self, plot: Plot) -> Sequence[float]:
        room = max(2, int((plot.x1 - plot.x0) / PIXELS_EACH))
        step = next((step for step in STEPS_S if self.length_s / step <= room), STEPS_S[-1])
        return [float(step * index) for index in range(int(self.length_s / step) + 1)]
