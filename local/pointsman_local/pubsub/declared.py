"""What `bootstrap/topology.yaml` declares, made true on every start: topics, dead letters, push subscriptions."""

from typing import Any

from pointsman_local.identity import account
from pointsman_local.pubsub.broker import Broker
from pointsman_local.pubsub.wire import message_class
from pointsman_local.site import Site
from pointsman_local.topology import Topology

__all__ = ["declare", "push_subscription"]

_Topic = message_class("Topic")
_Subscription = message_class("Subscription")


def push_subscription(topic: str, function: str) -> str:
    """The name of the subscription by which a topic reaches a function."""
    return f"{topic}-{function.replace('_', '-')}"


def declare(broker: Broker, site: Site, topology: Topology) -> None:
    """Make what is declared and missing; give declared subscriptions the declared settings, whatever they had.

    What somebody made besides is left alone, and so is every message.
    """
    for topic in topology.topics:
        for name in (topic, f"{topic}-dead"):
            if _topic(site, name) not in broker.topics:
                broker.create_topic(_Topic(name=_topic(site, name)))
        dead = _Subscription(
            name=_subscription(site, f"{topic}-dead"), topic=_topic(site, f"{topic}-dead"), ack_deadline_seconds=60
        )
        dead.expiration_policy.SetInParent()  # never expires
        _put(broker, dead)
    for function in topology.functions.values():
        if function.topic is None:
            continue
        push = topology.push
        settings = _Subscription(
            name=_subscription(site, push_subscription(function.topic, function.name)),
            topic=_topic(site, function.topic),
            ack_deadline_seconds=push.ack_deadline_s,
        )
        url = site.url(f"functions/{function.name}")
        settings.push_config.push_endpoint = url
        settings.push_config.oidc_token.service_account_email = account(push.account, site.project)
        settings.push_config.oidc_token.audience = url
        settings.message_retention_duration.FromSeconds(push.retention_s)
        settings.retry_policy.minimum_backoff.FromMilliseconds(int(push.backoff_s[0] * 1000))
        settings.retry_policy.maximum_backoff.FromMilliseconds(int(push.backoff_s[1] * 1000))
        settings.dead_letter_policy.dead_letter_topic = _topic(site, f"{function.topic}-dead")
        settings.dead_letter_policy.max_delivery_attempts = push.attempts_max
        settings.expiration_policy.SetInParent()
        _put(broker, settings)


def _put(broker: Broker, settings: Any) -> None:
    current = broker.subscriptions.get(settings.name)
    if current is None:
        broker.create_subscription(settings)
    else:
        settings.state = current.settings.state
        broker.change_subscription(settings)


def _topic(site: Site, name: str) -> str:
    return f"projects/{site.project}/topics/{name}"


def _subscription(site: Site, name: str) -> str:
    return f"projects/{site.project}/subscriptions/{name}"
