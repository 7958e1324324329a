"""Series that are not scraped: what services report of themselves, what the log amounts to, and PromQL over all of it,
asked of the running Monitoring as Grafana asks, and by alert policies that Google's own client makes."""

import asyncio
import base64
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from dashboards.playing import policy_of
from google.cloud import monitoring_v3 as v3
from tests.handlers.plane import Plane
from tests.handlers.test_alert import plane_with

from pointsman.adapters.endpoints import Settings, client
from pointsman.core.events import Event
from pointsman.handlers.envelope import MESSAGE_PUBLISHED
from pointsman_local.counting import PATH, Counters, Resource, gauge
from pointsman_local.monitoring import server
from pointsman_local.site import ENDPOINTS, Site

ALERTS = Path(__file__).resolve().parents[2] / "dashboards" / "alerts"
TOPIC = "projects/lab/topics/alert-fired"
DEAD = "pubsub.googleapis.com/subscription/dead_letter_message_count"
WAITING = "pubsub.googleapis.com/subscription/num_undelivered_messages"
LINE = Resource("pubsub_subscription", {"project_id": "lab", "subscription_id": "repo-pushed-on-repo-push"})
BUDGET = "sum by (service, revision) (increase(logging_googleapis_com:user_pointsman_rollout_requests_sum[5m]))"
T = TypeVar("T")


@dataclass
class World:
    """Pub/Sub's counters, the log of the functions, and what was published."""

    folder: Path
    counters: Counters = field(default_factory=lambda: Counters(time.time()))
    waiting: float = 0.0
    published: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def write(self, *lines: Mapping[str, object]) -> None:
        log = self.folder / "logs" / "functions.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """An instant query; its samples."""
        found: list[dict[str, Any]] = self.get("query", query=query)["data"]["result"]
        return found

    def get(self, call: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{call}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.loads(answer.read())

    def values(self, query: str) -> list[float]:
        return [float(sample["value"][1]) for sample in self.ask(query)]


def until(ask: Callable[[], T], good: Callable[[T], object], seconds: float = 20.0) -> T:
    """Ask until the answer is good; bounded."""
    end = time.monotonic() + seconds
    while not good(answer := ask()):
        assert time.monotonic() < end, f"still {answer!r}"
        time.sleep(0.02)
    return answer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == PATH:
                self._send(made.counters.as_json([gauge(WAITING, LINE, made.waiting)]))
            else:
                self._send({"items": []})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.published += [json.loads(base64.b64decode(message["data"])) for message in body["messages"]]
            self._send({})

        def _send(self, answer: object) -> None:
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    made.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def settings(
    world: World, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Monitoring runs, twenty rounds a second; the world's url is that of its queries."""
    monkeypatch.setattr(server, "SCRAPE_S", 0.05)
    monkeypatch.setattr(server, "REPORT_EVERY", 1)
    silent, pubsub = free_port(), int(world.url.rpartition(":")[2])
    ports = {**dict.fromkeys(ENDPOINTS, silent), "pubsub-rest": pubsub, "kubernetes": pubsub}
    ports |= {"monitoring": free_port(), "monitoring-rest": free_port()}
    site = Site(tmp_path, "lab", "us-central1", "c1", ports)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(site, stop),))
    thread.start()
    world.url = f"{site.url('monitoring-rest')}/v1/projects/lab/location/global/prometheus/api/v1"
    until(lambda: answered(world), bool)
    yield Settings("lab", "us-central1", "c1", endpoints={"monitoring": site.address("monitoring")})
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def answered(world: World) -> bool:
    try:
        return bool(world.ask(f'{{"{WAITING}", monitored_resource="pubsub_subscription"}}'))
    except urllib.error.URLError:
        return False


def verdict(service: str, revision: str, requests: int) -> dict[str, object]:
    return {"event": "verdict", "function": "rollout_step", "service": f"eu/nlp/{service}", "revision": revision} | {
        "action": "continue",
        "canary_requests": requests,
        "log_e": 0.5,
    }


def test_a_service_s_own_counters_are_series_with_google_s_names(settings: Settings, world: World) -> None:
    world.waiting = 7
    name = "pubsub_googleapis_com:subscription_num_undelivered_messages"
    until(lambda: world.values(name), [7.0].__eq__)
    (sample,) = world.ask(name)
    assert sample["metric"] == {
        "monitored_resource": "pubsub_subscription",
        "project_id": "lab",
        "subscription_id": "repo-pushed-on-repo-push",
    }
    world.counters.add(DEAD, LINE)
    grown = "increase(pubsub_googleapis_com:subscription_dead_letter_message_count[1m])"
    until(lambda: world.values(grown), [1.0].__eq__)  # the first one counts, too
    world.counters.add(DEAD, LINE, count=2)
    until(lambda: world.values(grown), [3.0].__eq__)


def test_lines_of_the_log_are_counted_and_their_values_kept(settings: Settings, world: World) -> None:
    world.write(verdict("chat", "chat-0000000a", 100), verdict("chat", "chat-0000000a", 50))
    world.write({"event": "swept", "part": "pushes"}, {"event": "unknown"}, {"part": "no event"})
    with (world.folder / "logs" / "functions.log").open("a") as file:
        file.write('127.0.0.1 - - "GET / HTTP/1.1" 404 -\n{half a line')
    (sample,) = until(lambda: world.ask(BUDGET), lambda found: found and found[0]["value"][1] == "150")
    assert sample["metric"] == {"service": "chat", "revision": "chat-0000000a"}
    counted = "sum by (part) (increase(logging_googleapis_com:user_pointsman_sweep_findings[5m]))"
    assert world.ask(counted)[0]["metric"] == {"part": "pushes"}
    mean = "logging_googleapis_com:user_pointsman_rollout_evidence"
    assert world.values(f"increase({mean}_sum[5m]) / increase({mean}_count[5m])") == [0.5]


def test_a_value_that_is_no_number_is_no_part_of_a_distribution(settings: Settings, world: World) -> None:
    world.write({**verdict("chat", "chat-0000000a", 0), "canary_requests": "many"}, verdict("chat", "chat-0000000b", 5))
    until(lambda: world.ask(BUDGET), bool)
    assert [sample["metric"]["revision"] for sample in world.ask(BUDGET)] == ["chat-0000000b"]


def test_a_range_is_answered_as_prometheus_answers_it(settings: Settings, world: World) -> None:
    begun = time.time()
    world.waiting = 3
    until(lambda: world.values("pubsub_googleapis_com:subscription_num_undelivered_messages"), [3.0].__eq__)
    name = "pubsub_googleapis_com:subscription_num_undelivered_messages"
    answer = world.get("query_range", query=name, start=str(begun), end=str(begun + 10), step="5s")
    assert (answer["status"], answer["data"]["resultType"]) == ("success", "matrix")
    (series,) = answer["data"]["result"]
    assert [when for when, _ in series["values"]][-1] == round(begun + 10, 3)
    values = world.get("label/subscription_id/values", **{"match[]": name})["data"]
    assert values == ["repo-pushed-on-repo-push"]


@pytest.mark.parametrize(
    ("call", "query", "status", "says"),
    [
        ("query", {"query": "rate(x)"}, 400, "expected type matrix"),
        ("query", {"query": "deriv(x[5m])"}, 501, "deriv"),
        ("query", {"query": '{a="b"}'}, 400, "metric name"),
        ("query_range", {"query": "1", "start": "0", "end": "100000", "step": "1"}, 400, "11000 steps"),
        ("query_range", {"query": "1", "start": "soon", "end": "1", "step": "1"}, 400, "'soon' is no time"),
        ("labels", {}, 501, "labels"),
    ],
)
def test_what_is_wrong_or_not_imitated_is_refused(
    settings: Settings, world: World, call: str, query: dict[str, str], status: int, says: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        world.get(call, **query)
    assert refused.value.code == status
    assert says in json.loads(refused.value.read())["error"]


# --- alert policies, as Terraform makes them ------------------------------------------------------------------


def install(settings: Settings, *names: str) -> None:
    """Policies of `dashboards/alerts`, told to the topic; asked as often as the tests look."""
    channels = client(v3.NotificationChannelServiceClient, settings, "monitoring")
    channel = channels.create_notification_channel(
        name="projects/lab", notification_channel=v3.NotificationChannel(type_="pubsub", labels={"topic": TOPIC})
    )
    policies = client(v3.AlertPolicyServiceClient, settings, "monitoring")
    for name in names:
        policy = policy_of(yaml.safe_load((ALERTS / f"{name}.yaml").read_text()))
        policy.notification_channels.append(channel.name)
        for condition in policy.conditions:
            condition.condition_prometheus_query_language.evaluation_interval = {"nanos": 50_000_000}
        policies.create_alert_policy(name="projects/lab", alert_policy=policy)


RULES = """\
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: told, namespace: nlp}
spec: {alert: {selector: {matchLabels: {pointsman_group: plane}}}, actions: [{notify: {channels: [oncall]}}]}
"""


def deliver(plane: Plane, message: Mapping[str, Any]) -> None:
    incident = {**message["incident"], "started_at": int(plane.now.timestamp())}
    identity, data = f"{incident['incident_id']}/{incident['state']}", {**message, "incident": incident}
    assert plane.deliver(Event(identity, "//monitoring", MESSAGE_PUBLISHED, plane.now, "", data), "alert-fired") == 200


@pytest.mark.parametrize("name", ["dead-letters", "webhook-silence", "sweep-findings", "notices-lost"])
def test_an_incident_goes_from_a_counter_to_the_handler_s_decision(settings: Settings, world: World, name: str) -> None:
    install(settings, name)
    if name == "dead-letters":
        world.counters.add(DEAD, LINE)
    lines: Mapping[str, Mapping[str, object]] = {
        "webhook-silence": {"event": "swept", "part": "pushes"},
        "sweep-findings": {"event": "swept", "part": "weights"},
        "notices-lost": {"event": "notice-unsent", "channel": "oncall"},
    }
    if name in lines:
        world.write(lines[name])
    (message, *_) = until(lambda: world.published, bool)
    incident = message["incident"]
    assert (incident["state"], incident["policy_user_labels"]["pointsman_alert"]) == ("open", name)
    assert incident["condition"]["conditionPrometheusQueryLanguage"]["query"].strip()
    plane = plane_with(RULES)
    deliver(plane, message)
    assert (plane.event.result, plane.notices()) == ("applied", ["AlertFired"])


def test_a_query_that_is_no_promql_makes_no_policy(settings: Settings) -> None:
    policy = policy_of(yaml.safe_load((ALERTS / "drift.yaml").read_text()))
    policy.conditions[0].condition_prometheus_query_language.query = "rate(x)"
    with pytest.raises(Exception, match="expected type matrix"):
        client(v3.AlertPolicyServiceClient, settings, "monitoring").create_alert_policy(
            name="projects/lab", alert_policy=policy
        )
