"""What local services count of themselves is what they did, under Google's names."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pointsman_local.counting import MILLISECONDS, PATH, Counters, Resource, gauge
from pointsman_local.functions.guard import Guard
from pointsman_local.identity import Identity, account
from pointsman_local.pubsub.broker import Broker
from pointsman_local.pubsub.declared import declare
from pointsman_local.pubsub.push import envelope
from pointsman_local.pubsub.store import Store
from pointsman_local.pubsub.wire import message_class
from pointsman_local.site import ENDPOINTS, Site
from pointsman_local.topology import deployed, load

RESOURCE = Resource("pubsub_topic", {"topic_id": "t"})


def test_counters_and_distributions_are_told_with_when_they_began() -> None:
    counters = Counters(17.0)
    counters.add("a/b", RESOURCE)
    counters.add("a/b", RESOURCE, count=2)
    counters.add("a/b", RESOURCE, {"code": "500"})
    counters.observe("a/ms", RESOURCE, {}, 12.0)
    counters.observe("a/ms", RESOURCE, {}, 10**9)
    told: Any = json.loads(json.dumps(counters.as_json([gauge("a/now", RESOURCE, 5.0)])))
    assert told["since"] == 17.0
    values = {(item["metric"], item["labels"].get("code")): item["value"] for item in told["series"]}
    assert (values["a/b", None], values["a/b", "500"], values["a/now", None]) == (3.0, 1.0, 5.0)
    observed = values["a/ms", None]
    assert (sum(observed["counts"]), observed["counts"][-1], observed["total"]) == (2, 1, 10**9 + 12.0)
    assert len(observed["counts"]) == len(observed["bounds"]) + 1 == len(MILLISECONDS) + 1
    assert [item["cumulative"] for item in told["series"]] == [True, True, True, False]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    functions = load(deployed()).functions
    ports = {
        name: 1024 + number for number, name in enumerate([*ENDPOINTS, *(f"functions/{one}" for one in functions)])
    }
    return Site(tmp_path, "local", "us-central1", "local", ports)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("its own fault")
    start_response("503 Service Unavailable" if environ["PATH_INFO"] == "/busy" else "200 OK", [])
    return [b""]


def test_a_function_s_requests_are_counted_as_cloud_run_counts_them(site: Site) -> None:
    guard = Guard(application, load(deployed()).functions["sweep"], site, 250.0)
    token = Identity(site.data).token(account("scheduler", "local"), site.url("functions/sweep"), time.time())

    def call(path: str, authorization: str = f"Bearer {token}") -> None:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": "POST", "HTTP_AUTHORIZATION": authorization}
        guard(environ, lambda status, headers, *error: None)

    for path in ("/", "/", "/busy"):
        call(path)
    call("/", "")
    with pytest.raises(RuntimeError):
        call("/fails")
    (body,) = guard({"PATH_INFO": PATH, "REQUEST_METHOD": "GET"}, lambda status, headers: None)
    series = json.loads(body)["series"]
    requests = {
        item["labels"]["response_code"]: item["value"]
        for item in series
        if item["metric"] == "run.googleapis.com/request_count"
    }
    assert requests == {"200": 2.0, "503": 1.0, "401": 1.0, "500": 1.0}  # asking for the counters is no request
    assert {item["resource"]["service_name"] for item in series} == {"pointsman-sweep"}
    (starts,) = [item["value"] for item in series if item["metric"].endswith("startup_latencies")]
    assert (sum(starts["counts"]), starts["total"]) == (1, 250.0)
    latencies = [item["value"] for item in series if item["metric"].endswith("request_latencies")]
    assert sum(sum(one["counts"]) for one in latencies) == 5


def test_pubsub_counts_what_was_published_and_what_nobody_took(site: Site) -> None:
    broker = Broker(Store(site.folder("pubsub") / "pubsub.db"), 1000.0)
    declare(broker, site, load(deployed()))
    name = "projects/local/subscriptions/repo-pushed-on-repo-push"
    message = message_class("PubsubMessage")(data=b"{}")
    broker.publish("projects/local/topics/repo-pushed", [message, message], 1000.0)
    subscription = broker.subscription(name)
    assert (len(subscription.backlog), subscription.backlog.oldest()) == (2, 1000.0)
    now = 1000.0
    while len(subscription.backlog):
        now += 700.0
        broker.wake(now)
        for received in broker.lease(subscription, 10, now, lease_s=60.0):
            assert envelope(name, received)["subscription"] == name
            broker.fail(subscription, [received.ack_id], now)
    assert subscription.backlog.oldest() is None
    told: Any = broker.counters.as_json()
    values = {item["metric"].rpartition("/")[2]: item["value"] for item in told["series"]}
    assert values == {"send_message_operation_count": 2.0, "dead_letter_message_count": 2.0}
    assert {tuple(item["resource"].values())[1] for item in told["series"]} == {
        "repo-pushed",
        "repo-pushed-on-repo-push",
    }
