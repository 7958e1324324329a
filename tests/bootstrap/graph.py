"""Who reaches whom, in one form for what the local cloud starts and for what Terraform makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bootstrap.terraform_run import PROJECT, Run

from pointsman_local.functions.guard import invokers
from pointsman_local.identity import account
from pointsman_local.pubsub.broker import Broker
from pointsman_local.pubsub.declared import declare
from pointsman_local.pubsub.store import Store
from pointsman_local.site import Site
from pointsman_local.topology import Topology

__all__ = ["Graph", "Push", "of_local", "of_terraform"]

EVERYBODY = "everybody"
OPERATORS = "operators"


@dataclass(frozen=True, slots=True)
class Push:
    """A push subscription: topic and function, whose token it carries, and how it tries again. Times in seconds."""

    topic: str
    function: str
    email: str
    ack_deadline_s: int
    backoff_s: tuple[float, float]
    retention_s: int
    dead_letter: str
    attempts_max: int


@dataclass(frozen=True, slots=True)
class Graph:
    topics: frozenset[str]
    pushes: Mapping[str, Push]
    """Subscription → what it is."""
    pulls: Mapping[str, str]
    """Subscription without push → its topic."""
    callers: Mapping[str, frozenset[str]]
    """Function → who may call it: emails, `operators`, `everybody`."""
    limits: Mapping[str, tuple[int, int]]
    """Function → its timeout in seconds, and how many requests it takes at once."""
    schedules: Mapping[str, str]
    """Function → when it is called."""
    workflows: Mapping[str, Mapping[str, str]]
    """Workflow → its variables, each naming a function whose URL it holds."""


def of_local(topology: Topology, data: Path) -> Graph:
    """What a local cloud has once it is up: its own Pub/Sub is made to declare it, its own guard is asked."""
    ports = {f"functions/{name}": number for number, name in enumerate(topology.functions, 1)}
    site = Site(data, PROJECT, "us-central1", "serving", ports)
    function_of = {site.url(f"functions/{name}"): name for name in topology.functions}
    broker = Broker(Store(data / "pubsub.db"), 0.0, lambda _when: None)
    declare(broker, site, topology)
    pushes, pulls = {}, {}
    for path, subscription in broker.subscriptions.items():
        settings, name = subscription.settings, path.rpartition("/")[2]
        topic = settings.topic.rpartition("/")[2]
        if not subscription.pushes:
            pulls[name] = topic
            continue
        pushes[name] = Push(
            topic=topic,
            function=function_of[settings.push_config.push_endpoint],
            email=settings.push_config.oidc_token.service_account_email,
            ack_deadline_s=settings.ack_deadline_seconds,
            backoff_s=(
                settings.retry_policy.minimum_backoff.ToSeconds(),
                settings.retry_policy.maximum_backoff.ToSeconds(),
            ),
            retention_s=settings.message_retention_duration.ToSeconds(),
            dead_letter=settings.dead_letter_policy.dead_letter_topic.rpartition("/")[2],
            attempts_max=settings.dead_letter_policy.max_delivery_attempts,
        )
    names = [*topology.functions, *topology.workflows, topology.push.account, topology.scheduler, "eventarc", "build"]
    callers = {}
    for function in topology.functions.values():
        may = invokers(function, PROJECT)
        found = {email for name in names if may(email := account(name, PROJECT))}
        found |= {OPERATORS} if may("somebody@localhost") else set()
        callers[function.name] = frozenset(found | ({EVERYBODY} if function.public else set()))
    return Graph(
        topics=frozenset(name.rpartition("/")[2] for name in broker.topics),
        pushes=pushes,
        pulls=pulls,
        callers=callers,
        limits={name: (item.timeout_s, item.concurrency) for name, item in topology.functions.items()},
        schedules={name: item.schedule for name, item in topology.functions.items() if item.schedule},
        workflows=topology.workflows,
    )


def of_terraform(run: Run, operators: str) -> Graph:
    """What Terraform made. `operators` is the member that stands for the people who may command."""
    functions = run.of("google_cloudfunctions2_function")
    uri = {item.values["service_config"][0]["uri"]: item.key for item in functions}
    named = {item.values["name"]: item.key for item in functions}
    pushes, pulls = {}, {}
    for item in run.of("google_pubsub_subscription"):
        values, topic = item.values, item.values["topic"].rpartition("/")[2]
        if not values["push_config"]:
            pulls[values["name"]] = topic
            continue
        [push], [retry], [dead] = values["push_config"], values["retry_policy"], values["dead_letter_policy"]
        [token] = push["oidc_token"]
        assert token["audience"] == push["push_endpoint"]
        pushes[values["name"]] = Push(
            topic=topic,
            function=uri[push["push_endpoint"]],
            email=token["service_account_email"],
            ack_deadline_s=values["ack_deadline_seconds"],
            backoff_s=(_seconds(retry["minimum_backoff"]), _seconds(retry["maximum_backoff"])),
            retention_s=int(_seconds(values["message_retention_duration"])),
            dead_letter=dead["dead_letter_topic"].rpartition("/")[2],
            attempts_max=dead["max_delivery_attempts"],
        )
    people = {"allUsers": EVERYBODY, operators: OPERATORS}
    callers: dict[str, set[str]] = {item.key: set() for item in functions}
    for item in run.of("google_cloud_run_service_iam_member"):
        member = item.values["member"]
        callers[named[item.values["service"]]].add(people.get(member, member.removeprefix("serviceAccount:")))
    jobs = run.of("google_cloud_scheduler_job")
    return Graph(
        topics=frozenset(item.values["name"] for item in run.of("google_pubsub_topic")),
        pushes=pushes,
        pulls=pulls,
        callers={name: frozenset(found) for name, found in callers.items()},
        limits={
            item.key: (config["timeout_seconds"], config["max_instance_request_concurrency"])
            for item in functions
            for config in item.values["service_config"]
        },
        schedules={uri[item.values["http_target"][0]["uri"]]: item.values["schedule"] for item in jobs},
        workflows={
            item.values["name"]: {variable: uri[url] for variable, url in item.values["user_env_vars"].items()}
            for item in run.of("google_workflows_workflow")
        },
    )


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
