"""The alert of the demo: an alert policy made by Google's own client, as a platform admin would make it."""

import grpc
from google.cloud.monitoring_v3 import (
    AlertPolicy,
    AlertPolicyServiceClient,
    NotificationChannel,
    NotificationChannelServiceClient,
)

from pointsman_local.site import Site

__all__ = ["told_to_the_bus", "watch_load"]

NAME = "digits is busy"
FOR_S = 3


def watch_load(site: Site, *, above_per_s: float) -> None:
    """Open an incident when requests to `digits` are above so many a second for three seconds."""
    project = f"projects/{site.project}"
    with grpc.insecure_channel(site.address("monitoring")) as link:
        channel = told_to_the_bus(link, project)
        policies = AlertPolicyServiceClient.get_transport_class("grpc")(channel=link)
        AlertPolicyServiceClient(transport=policies).create_alert_policy(
            name=project, alert_policy=_policy(channel, above_per_s)
        )


def told_to_the_bus(link: grpc.Channel, project: str) -> str:
    """Name of a new notification channel that publishes to the topic `alert-fired`."""
    transport = NotificationChannelServiceClient.get_transport_class("grpc")(channel=link)
    channel = NotificationChannel(
        type_="pubsub", display_name="pointsman", labels={"topic": f"{project}/topics/alert-fired"}
    )
    made = NotificationChannelServiceClient(transport=transport).create_notification_channel(
        name=project, notification_channel=channel
    )
    return str(made.name)


def _policy(channel: str, above_per_s: float) -> AlertPolicy:
    condition = AlertPolicy.Condition(
        display_name="requests a second",
        condition_threshold={
            "filter": (
                'metric.type = "prometheus.googleapis.com/envoy_cluster_upstream_rq_total/counter" '
                'AND resource.type = "prometheus_target" AND metric.labels.service = "digits"'
            ),
            "aggregations": [
                {
                    "alignment_period": {"seconds": FOR_S},
                    "per_series_aligner": "ALIGN_RATE",
                    "cross_series_reducer": "REDUCE_SUM",
                }
            ],
            "comparison": "COMPARISON_GT",
            "threshold_value": above_per_s,
            "duration": {"seconds": FOR_S},
        },
    )
    return AlertPolicy(
        display_name=NAME,
        combiner="OR",
        conditions=[condition],
        notification_channels=[channel],
        severity="WARNING",
    )
