"""*Control plane*: whether events arrive and are dealt with, and how well the functions do it."""

from dashboards.panels import Dashboard, Panel, Query, Row, Threshold, counted, quantile, system, total
from pointsman.core.metric_names import (
    FUNCTION_LATENCIES,
    FUNCTION_REQUESTS,
    FUNCTION_STARTS,
    PUBSUB_DEAD_LETTERS,
    PUBSUB_OLDEST,
    PUBSUB_PUBLISHED,
    PUBSUB_UNDELIVERED,
    WORKFLOWS_FINISHED,
    WORKFLOWS_STARTED,
)

__all__ = ["CONTROL_PLANE"]

OURS = 'service_name=~"pointsman-.*"'
FAILED = 'status="FAILED"'
TOPICS = 'topic_id=~"repo-pushed|model-registered|alert-fired|notices"'
PUSHED = 'subscription_id!~".*-dead"'


def _number(title: str, promql: str, about: str, *, calm: bool = False) -> Panel:
    return Panel(title, "number", (Query(promql),), about, width=4, height=4, calm="any" if calm else "zero")


NOW = Row(
    "Last 24 hours",
    (
        _number("Events", total("events_handled"), "Dealt with.", calm=True),
        _number(
            "Dead letters",
            f"sum(increase({system(PUBSUB_DEAD_LETTERS)}[24h])) or vector(0)",
            "Events that failed 20 times. The sweep gives each another 20.",
        ),
        _number(
            "Failed executions",
            f"sum(increase({system(WORKFLOWS_FINISHED, where=FAILED)}[24h])) or vector(0)",
            "Workflows that ended in an error. The sweep starts a rollout's again.",
        ),
        _number(
            "Found by the sweep",
            total("sweep_findings"),
            "What would have been lost.",
        ),
        _number(
            "Mistakes of ours",
            total("refusals", 'event="failed"'),
            "Answers of 500. The log has file and line.",
        ),
        _number(
            "Notices lost",
            total("notices_lost"),
            "A channel could not be reached.",
        ),
    ),
)

EVENTS = Row(
    "Events",
    (
        Panel(
            "Published, by topic",
            "bars",
            (
                Query(
                    f"sum by (topic_id) (increase({system(PUBSUB_PUBLISHED, where=TOPICS)}[<window>]))", "{{topic_id}}"
                ),
            ),
            "Messages that a function or Cloud Monitoring published.",
        ),
        Panel(
            "Dealt with",
            "bars",
            (
                Query(counted("events_handled", ("result",)), "{{result}}"),
                Query(counted("events_returned", ("event",)), "{{event}}"),
            ),
            "Applied, ignored for a reason, or rejected as no event of ours; and what comes again.",
        ),
        Panel(
            "Age when dealt with",
            "lines",
            (
                Query(quantile(0.5, "event_age", (), window="<sweep>"), "median age"),
                Query(quantile(0.95, "event_age", (), window="<sweep>"), "p95 age"),
            ),
            "From the event's own time: the sender's, Pub/Sub's and our delay together.",
            unit="s",
        ),
        Panel(
            "Waiting",
            "lines",
            (Query(f"max by (subscription_id) ({system(PUBSUB_UNDELIVERED)})", "{{subscription_id}}"),),
            "Messages not acknowledged yet; `-dead` ones wait for the sweep.",
        ),
        Panel(
            "Oldest that waits",
            "lines",
            (Query(f"max by (subscription_id) ({system(PUBSUB_OLDEST, where=PUSHED)})", "{{subscription_id}}"),),
            "Grows while an event fails again and again.",
            unit="s",
            thresholds=(Threshold(600.0, "the longest back-off"),),
        ),
        Panel(
            "Webhooks",
            "bars",
            (Query(counted("webhooks", ("event", "sender")), "{{event}} {{sender}}"),),
            "Published, refused for their signature, or not published.",
        ),
    ),
)

WORK = Row(
    "Functions and workflows",
    (
        Panel(
            "Requests",
            "bars",
            (
                Query(
                    f"sum by (service_name) (increase({system(FUNCTION_REQUESTS, where=OURS)}[<window>]))",
                    "{{service_name}}",
                ),
            ),
            "By function. An idle plane has the sweep's alone: one a minute.",
        ),
        Panel(
            "Errors",
            "bars",
            (
                Query(
                    "sum by (service_name, response_code) (increase("
                    + system(FUNCTION_REQUESTS, where=f'{OURS},response_code=~"4..|5.."')
                    + "[<window>]))",
                    "{{service_name}} {{response_code}}",
                ),
            ),
            "429: another delivery has the event. 503: something transient, asked again. 500: a mistake of ours. "
            "401 and 403: a caller without the right, or a webhook that was not signed.",
        ),
        Panel(
            "Latency, p95",
            "lines",
            (
                Query(
                    "histogram_quantile(0.95, sum by (le, service_name) (increase("
                    + system(FUNCTION_LATENCIES, "_bucket", OURS)
                    + "[<window>])))",
                    "{{service_name}}",
                ),
            ),
            "Cold starts are in it.",
            unit="ms",
        ),
        Panel(
            "Cold starts",
            "bars",
            (
                Query(
                    f"sum by (service_name) (increase({system(FUNCTION_STARTS, '_count', OURS)}[<window>]))",
                    "{{service_name}}",
                ),
            ),
            "Instances that were started: nothing runs while nothing happens.",
        ),
        Panel(
            "Time of a cold start",
            "lines",
            (
                Query(
                    "histogram_quantile(0.5, sum by (le, service_name) (increase("
                    + system(FUNCTION_STARTS, "_bucket", OURS)
                    + "[<sweep>])))",
                    "{{service_name}}",
                ),
            ),
            "Most of it is the import of Google's clients; each function has only its own.",
            unit="ms",
        ),
        Panel(
            "Executions",
            "bars",
            (
                Query(
                    f"sum by (workflow_id) (increase({system(WORKFLOWS_STARTED)}[<window>]))", "started {{workflow_id}}"
                ),
                Query(
                    f"sum by (workflow_id, status) (increase({system(WORKFLOWS_FINISHED)}[<window>]))",
                    "{{status}} {{workflow_id}}",
                ),
            ),
            "One a rollout, and one a pool that is worked on.",
        ),
        Panel(
            "Sweep",
            "bars",
            (
                Query(counted("sweep_findings", ("part",)), "found {{part}}"),
                Query(counted("sweep_failures", ("part",)), "could not look at {{part}}"),
            ),
            "Lost pushes and aliases, executions that ended unfinished, weights that differ. All quiet is empty.",
            width=12,
        ),
        Panel(
            "Notices",
            "bars",
            (
                Query(counted("notices", ("notice",)), "{{notice}}"),
                Query(counted("notices_lost", ("event",)), "{{event}}"),
            ),
            "What people were told, by kind.",
            width=12,
        ),
    ),
)

CONTROL_PLANE = Dashboard(
    "control-plane",
    "pointsman: control plane",
    "Events and their age, dead letters, functions, cold starts, executions, and what the sweep found.",
    (NOW, EVENTS, WORK),
)
