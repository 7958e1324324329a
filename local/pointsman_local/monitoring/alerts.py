"""Alert policies and notification channels: kept, evaluated after each scrape, and told to Pub/Sub."""

import base64
import secrets
import string
from typing import Any

import aiohttp

from pointsman_local.monitoring.conditions import Condition, conditions_of, read
from pointsman_local.monitoring.database import Database
from pointsman_local.monitoring.incidents import AUTO_CLOSE_S, Incident, Watch, notification
from pointsman_local.monitoring.series import Store
from pointsman_local.monitoring.wire import Refused, message

__all__ = ["Alerts", "Publisher"]

POLICY = message("AlertPolicy")
CHANNEL = message("NotificationChannel")
PROMPTS = POLICY.AlertStrategy.NotificationPrompt
BASE36 = string.digits + string.ascii_lowercase


class Alerts:
    """The policies of one project. Changes are saved before they are answered."""

    def __init__(self, project: str, database: Database, store: Store) -> None:
        self._project = project
        self._database = database
        self._store = store
        self.policies = {name: POLICY.FromString(data) for name, data in database.resources("policy").items()}
        self.channels = {name: CHANNEL.FromString(data) for name, data in database.resources("channel").items()}
        self._open: dict[tuple[str, str], Incident] = {
            (incident.condition, incident.group): incident for incident in database.incidents()
        }
        self._watches: dict[str, Watch] = {}
        self._parsed: dict[str, list[Condition]] = {}
        self._asked: dict[str, float] = {}
        """Condition → when it was last asked: a query has an interval of its own."""

    # What the API does.

    def create_policy(self, given: Any) -> Any:
        """The policy as it is kept, with its names. Raises Refused."""
        if not given.display_name:
            raise Refused.invalid("An alert policy needs a display_name")
        policy = POLICY()
        policy.CopyFrom(given)
        policy.name = f"projects/{self._project}/alertPolicies/{_number()}"
        if not policy.HasField("enabled"):
            policy.enabled.value = True
        for condition in policy.conditions:
            condition.name = f"{policy.name}/conditions/{_number()}"
        conditions_of(policy)
        for name in policy.notification_channels:
            self.channel(name)
        self._database.save("policy", policy.name, policy.SerializeToString())
        self.policies[policy.name] = policy
        return policy

    def policy(self, name: str) -> Any:
        if name not in self.policies:
            raise Refused.absent(f"There is no alert policy {name}")
        return self.policies[name]

    def delete_policy(self, name: str) -> None:
        self.policy(name)
        self._database.delete(name)
        del self.policies[name]
        self._open = {key: incident for key, incident in self._open.items() if incident.policy != name}

    def create_channel(self, given: Any) -> Any:
        """The channel as it is kept. Raises Refused: only Pub/Sub topics are told."""
        if given.type_ != "pubsub":
            raise Refused.unserved(f"notification channels of the type {given.type_!r}")
        if not given.labels["topic"].startswith("projects/"):
            raise Refused.invalid("A pubsub channel needs the label topic: projects/PROJECT/topics/TOPIC")
        channel = CHANNEL()
        channel.CopyFrom(given)
        channel.name = f"projects/{self._project}/notificationChannels/{_number()}"
        if not channel.HasField("enabled"):
            channel.enabled.value = True
        self._database.save("channel", channel.name, channel.SerializeToString())
        self.channels[channel.name] = channel
        return channel

    def channel(self, name: str) -> Any:
        if name not in self.channels:
            raise Refused.absent(f"There is no notification channel {name}")
        return self.channels[name]

    def delete_channel(self, name: str, *, force: bool) -> None:
        self.channel(name)
        users = [policy for policy in self.policies.values() if name in policy.notification_channels]
        if users and not force:
            raise Refused.invalid(f"The channel {name} is used by {users[0].name}: delete it with force")
        for policy in users:
            policy.notification_channels.remove(name)
            self._database.save("policy", policy.name, policy.SerializeToString())
        self._database.delete(name)
        del self.channels[name]

    # What happens after each scrape.

    def evaluate(self, now: float) -> None:
        """Open and close incidents by what the series say at `now`."""
        for policy in self.policies.values():
            if policy.enabled.value:
                for condition in self._conditions(policy):
                    if now >= self._asked.get(condition.name, 0.0) + condition.interval_s:
                        self._asked[condition.name] = now
                        self._step(policy, condition, now)

    def _conditions(self, policy: Any) -> list[Condition]:
        """Parsed once: a policy is never changed, only deleted."""
        if policy.name not in self._parsed:
            self._parsed[policy.name] = conditions_of(policy)
        return self._parsed[policy.name]

    def _step(self, policy: Any, condition: Condition, now: float) -> None:
        is_open = {group for name, group in self._open if name == condition.name}
        try:
            readings = read(condition, self._store, now)
        except Refused:
            # Whether an aligner fits is known once there is a series; the service shows no data then.
            readings = []
        strategy = policy.alert_strategy
        auto_close_s = float(strategy.auto_close.seconds) or AUTO_CLOSE_S
        watch = self._watches.setdefault(condition.name, Watch())
        opening, closing = watch.step(condition, readings, is_open, now, auto_close_s)
        prompts = set(strategy.notification_prompts) or {PROMPTS.Value("OPENED"), PROMPTS.Value("CLOSED")}
        topics = [
            self.channels[name].labels["topic"]
            for name in policy.notification_channels
            if self.channels[name].enabled.value
        ]
        for reading in opening:
            incident = Incident(
                id=f"0.{''.join(secrets.choice(BASE36) for _ in range(12))}",
                policy=policy.name,
                condition=condition.name,
                group=reading.key,
                metric_labels=dict(reading.metric_labels),
                resource_labels=dict(reading.resource_labels),
                started_at=int(now),
                value=reading.value,
            )
            data = notification(policy, incident, self._project, ended_at=None, value=reading.value)
            self._database.opened(incident, topics if PROMPTS.Value("OPENED") in prompts else (), data)
            self._open[incident.condition, incident.group] = incident
        for group, value in closing:
            incident = self._open.pop((condition.name, group))
            data = notification(policy, incident, self._project, ended_at=int(now), value=value)
            self._database.closed(incident, topics if PROMPTS.Value("CLOSED") in prompts else (), data)


class Publisher:
    """Sends what lies in the outbox, in order, until Pub/Sub has it."""

    def __init__(self, database: Database, http: aiohttp.ClientSession, pubsub: str) -> None:
        self._database = database
        self._http = http
        self._pubsub = pubsub

    async def send(self) -> None:
        """One round; what fails is tried again in the next one."""
        for number, topic, data in self._database.unsent():
            body = {"messages": [{"data": base64.b64encode(data).decode()}]}
            try:
                async with self._http.post(f"{self._pubsub}/v1/{topic}:publish", json=body) as answer:
                    # A topic that is not there: Monitoring gives the notification up, as the service does.
                    if answer.status not in (200, 404):
                        return
            except (aiohttp.ClientError, TimeoutError):
                return
            self._database.sent(number)


def _number() -> str:
    return str(secrets.randbelow(9 * 10**17) + 10**17)
