"""Real Envoy, real processes, real requests: what a route says is what happens, and no request is lost."""

import itertools
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil
import pytest
import urllib3
from tests.local.cluster import Cluster, deployment, is_ready, until

HOST = "chat.test"


class Load:
    """A few clients that keep their connections and ask all the time, at about `rate` requests per second."""

    def __init__(self, url: str, rate: float = 80, clients: int = 4) -> None:
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(url, clients / rate)) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=20)

    @property
    def count(self) -> int:
        return sum(self.versions.values())

    def more(self, requests: int) -> None:
        """Wait for so many further answers."""
        wanted = self.count + requests
        until(lambda: self.count >= wanted or self.failures)

    def _ask(self, url: str, every_s: float) -> None:
        pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=10))
        while not self._stop.wait(every_s):
            try:
                answer = pool.request("GET", url, headers={"Host": HOST})
                version = json.loads(answer.data)["VERSION"] if answer.status == 200 else ""
                problem = f"{answer.status} {answer.data[:200]!r}"
            except (urllib3.exceptions.HTTPError, ValueError) as error:
                version, problem = "", repr(error)
            with self._lock:
                if version:
                    self.versions[version] += 1
                else:
                    self.failures.append(problem)


class World:
    """A cluster with its gateway, and what tests do with them."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.cluster = Cluster(site.url("kubernetes"))
        self.url = site.url("gateway") + "/"
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=10))

    def revision(self, name: str, replicas: int = 1, **env: str) -> None:
        """A Deployment and a Service, ready; `name` is the version that it answers with."""
        service = {
            "metadata": {"name": name, "labels": {"pointsman.dev/service": "chat", "pointsman.dev/revision": name}},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "name": "http"}]},
        }
        self.cluster.create("services", service)
        self.cluster.create("apps/deployments", deployment(name, replicas, env={"VERSION": name, **env}))
        self.cluster.ready(name, replicas)
        until(lambda: self.healthy(name) == replicas)

    def remove(self, name: str) -> None:
        self.cluster.delete(f"apps/deployments/{name}")
        until(lambda: not self.cluster.pods(name))
        self.cluster.delete(f"services/{name}")

    def route(self, *rules: Mapping[str, Any], name: str = "chat", host: str = HOST) -> Any:
        """Apply a route and wait until the gateway says that it is in force."""
        body = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name},
            "spec": {
                "parentRefs": [{"name": "models", "namespace": "gateway"}],
                "hostnames": [host],
                "rules": list(rules),
            },
        }
        written = self.cluster.apply(f"gateway/httproutes/{name}", body)
        return until(lambda: self.told(name, written["metadata"]["generation"]))

    def told(self, name: str, generation: int) -> dict[str, tuple[str, str]] | None:
        """Conditions by type, once they are of this generation."""
        route = self.cluster.get(f"gateway/httproutes/{name}")
        parents = route.get("status", {}).get("parents") or [{"conditions": []}]
        conditions = parents[0]["conditions"]
        if not conditions or any(one["observedGeneration"] != generation for one in conditions):
            return None
        return {one["type"]: (one["status"], one["reason"]) for one in conditions}

    def ask(self, path: str = "", host: str = HOST, **headers: str) -> tuple[int, dict[str, Any]]:
        answer = self._pool.request("GET", self.url + path, headers={"Host": host, **headers})
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:
            return answer.status, {}

    def counter(self, name: str) -> int:
        """One of Envoy's own."""
        answer = self._pool.request("GET", f"{self.site.url('envoy-admin')}/stats", fields={"filter": f"^{name}$"})
        return int(answer.data.decode().rpartition(": ")[2] or 0)

    def healthy(self, service: str) -> int:
        return self.counter(f"cluster.default/{service}.membership_healthy")

    def settled(self, service: str, endpoints: int) -> None:
        until(lambda: self.healthy(service) == endpoints)

    def clear(self) -> None:
        for short in ("gateway/httproutes", "apps/deployments", "services"):
            self.cluster.clear(short)
        self.cluster.clear("pods", gracePeriodSeconds=0)
        until(lambda: not self.cluster.list("pods"))


def split(**weights: int) -> dict[str, Any]:
    return {"backendRefs": [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]}


@pytest.fixture(scope="module")
def running(local_process: Callable[..., Any]) -> Iterator[World]:
    process = local_process("kubernetes", "gateway")
    process.start(process.site.url("kubernetes") + "/readyz")
    world = World(process.site)
    until(lambda: _answers(world.site.url("envoy-admin") + "/ready"))
    yield world
    assert process.stop() == 0


@pytest.fixture
def world(running: World) -> Iterator[World]:
    yield running
    running.clear()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=2).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def test_the_gateway_says_that_it_is_there(world: World) -> None:
    def programmed() -> Any:
        conditions = world.cluster.get("gateway/gateways/models", "gateway")["status"].get("conditions") or []
        return {one["type"]: one["status"] for one in conditions} == {"Accepted": "True", "Programmed": "True"}

    until(programmed)
    assert world.ask()[0] == 404


def test_requests_are_split_by_weight_and_envoys_counters_agree(world: World) -> None:
    world.revision("r1")
    world.revision("r2")
    told = world.route(split(r1=80, r2=20))
    assert told == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("True", "ResolvedRefs"),
        "Programmed": ("True", "Programmed"),
    }
    n, share = 600, 0.2
    before = {name: world.counter(f"cluster.default/{name}.upstream_rq_total") for name in ("r1", "r2")}
    answers = Counter(world.ask()[1]["VERSION"] for _ in range(n))
    # 4.9 standard deviations: one run in a million fails.
    assert abs(answers["r2"] - n * share) < 4.9 * math.sqrt(n * share * (1 - share))
    for name, count in before.items():
        assert world.counter(f"cluster.default/{name}.upstream_rq_total") - count == answers[name]
    world.route(split(r1=100, r2=0))
    assert Counter(world.ask()[1]["VERSION"] for _ in range(50)) == {"r1": 50}


def test_revisions_come_and_go_under_load_without_a_failed_request(world: World) -> None:
    world.revision("g0", DELAY_MS="20")
    world.route(split(g0=100))
    with Load(world.url) as load:
        load.more(20)
        for number in range(1, 4):
            old, new = f"g{number - 1}", f"g{number}"
            world.revision(new, DELAY_MS="20")
            world.route(split(**{old: 100, new: 0}))
            world.route(split(**{old: 50, new: 50}))
            load.more(20)
            world.route(split(**{old: 0, new: 100}))
            world.route(split(**{new: 100}))
            world.remove(old)
        load.more(20)
    assert load.failures == []
    assert set(load.versions) == {"g0", "g1", "g2", "g3"}


def test_scaling_a_serving_revision_loses_nothing(world: World) -> None:
    world.revision("r1", 3, DELAY_MS="20")
    world.route(split(r1=1))
    with Load(world.url) as load:
        load.more(20)
        for replicas in (1, 3, 2):
            world.cluster.merge("apps/deployments/r1/scale", {"spec": {"replicas": replicas}})
            world.settled("r1", replicas)
            load.more(20)
        (victim, _) = world.cluster.ready("r1", 2)
        world.cluster.delete(f"pods/{victim['metadata']['name']}")
        load.more(40)
        world.cluster.ready("r1", 2)
    assert load.failures == []


def test_a_pod_gets_sigterm_only_after_the_gateway_let_go_of_it(world: World) -> None:
    world.revision("r1")
    (pod,) = world.cluster.pods("r1")
    begun = time.monotonic()
    world.cluster.delete("apps/deployments/r1")
    until(lambda: world.healthy("r1") == 0)
    assert "deletionTimestamp" in world.cluster.get(f"pods/{pod['metadata']['name']}")["metadata"]
    until(lambda: "pointsman.local/drained" in _annotations(world, pod))
    until(lambda: not world.cluster.pods("r1"))
    assert time.monotonic() - begun < 10


def _annotations(world: World, pod: Mapping[str, Any]) -> Mapping[str, str]:
    there = world.cluster.list("pods", fieldSelector=f"metadata.name={pod['metadata']['name']}")
    return there[0]["metadata"]["annotations"] if there else {"pointsman.local/drained": "and gone"}


def test_a_probe_rule_reaches_its_revision_and_a_cohort_its_split(world: World) -> None:
    world.revision("r1")
    world.revision("r2")
    word = [{"name": "x-pointsman-probe", "value": "plover"}]
    world.route(
        {**split(r2=1), "matches": [{"headers": word}]},
        {**split(r2=1), "matches": [{"queryParams": [{"name": "group", "value": "beta"}]}]},
        {**split(r1=100, r2=0), "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}]},
    )
    assert world.ask("v1/x")[1]["VERSION"] == "r1"
    assert world.ask("v1/x", **{"x-pointsman-probe": "plover"})[1]["VERSION"] == "r1", "the longer path is more special"
    assert world.ask("any", **{"x-pointsman-probe": "plover"})[1]["VERSION"] == "r2"
    assert world.ask("any", **{"x-pointsman-probe": "xyzzy"})[0] == 404
    assert world.ask("any?group=beta")[1]["VERSION"] == "r2"
    assert world.ask("v1x")[0] == 404, "a prefix ends at a slash"


def test_a_mirror_step_copies_requests_and_drops_the_answers(world: World) -> None:
    world.revision("r1")
    world.revision("r2")
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "r2", "port": 80}, "percent": 100}}
    world.route({**split(r1=1), "filters": [mirror]})
    before = world.counter("cluster.default/r2.upstream_rq_total")
    assert Counter(world.ask()[1]["VERSION"] for _ in range(20)) == {"r1": 20}
    until(lambda: world.counter("cluster.default/r2.upstream_rq_total") - before == 20)


def test_hosts_are_matched_with_wildcards_and_without_ports(world: World) -> None:
    world.revision("r1")
    world.route(split(r1=1), host="*.models.test")
    assert world.ask(host="a.models.test")[0] == 200
    assert world.ask(host="a.models.test:8080")[0] == 200
    assert world.ask(host="models.test")[0] == 404


def test_no_ready_pod_is_503_and_no_service_500(world: World) -> None:
    world.revision("r1", replicas=0)
    told = world.route(split(r1=1))
    assert told["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert world.ask()[0] == 503
    told = world.route(split(nowhere=1))
    assert told["ResolvedRefs"] == ("False", "BackendNotFound")
    assert world.ask()[0] == 500


def test_a_late_answer_is_cut_off_at_the_requests_timeout(world: World) -> None:
    world.revision("slow", DELAY_MS="600")
    world.route({**split(slow=1), "timeouts": {"request": "200ms"}})
    assert world.ask()[0] == 504
    world.route({**split(slow=1), "timeouts": {"request": "10s"}})
    assert world.ask()[0] == 200


def test_a_bad_route_is_refused_and_the_others_stay(world: World) -> None:
    world.revision("r1")
    world.route(split(r1=1))
    pattern = {"matches": [{"path": {"type": "RegularExpression", "value": "/.*"}}]}
    told = world.route({**split(r1=1), **pattern}, name="bad", host="bad.test")
    assert told["Accepted"] == ("False", "UnsupportedValue")
    assert told["Programmed"] == ("False", "Invalid")
    assert world.ask()[0] == 200
    assert world.ask(host="bad.test")[0] == 404


def test_latencies_are_counted_in_buckets_ten_per_cent_wide(world: World) -> None:
    world.revision("timed", DELAY_MS="30")
    world.route(split(timed=1))
    for _ in range(10):
        world.ask()

    def edges() -> list[float]:
        url = f"{world.site.url('envoy-admin')}/stats/prometheus?filter=timed.upstream_rq_time"
        lines = urllib3.request("GET", url).data.decode().splitlines()
        buckets = [line for line in lines if line.startswith("envoy_cluster_upstream_rq_time_bucket")]
        counted = [line for line in lines if line.startswith("envoy_cluster_upstream_rq_time_count")]
        if not counted or not counted[0].endswith(" 10"):
            return []
        return [float(line.split('le="')[1].split('"')[0]) for line in buckets if "+Inf" not in line]

    found = until(edges)
    assert found[0] == 1
    assert found[-1] > 5000
    assert all(1.099 < after / before < 1.101 for before, after in itertools.pairwise(found))


def test_a_pod_that_dies_leaves_the_endpoints_at_once(world: World) -> None:
    world.revision("r1", 2)
    world.route(split(r1=1))
    pods = {one["metadata"]["annotations"]["pointsman.local/port"] for one in world.cluster.pods("r1")}
    victim = next(one for one in psutil.process_iter() if _environment(one).get("PORT") in pods)
    victim.kill()
    until(lambda: world.healthy("r1") == 1, within_s=5)
    world.cluster.ready("r1", 2)
    until(lambda: world.healthy("r1") == 2)


def _environment(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _envoy(world: World) -> psutil.Process:
    config = str(world.site.data / "gateway" / "envoy.json")
    for process in psutil.process_iter(["cmdline"]):
        if config in (process.info["cmdline"] or []):
            return process
    raise AssertionError("no Envoy of ours runs")


def test_an_envoy_that_dies_is_started_again_as_it_was(world: World) -> None:
    world.revision("r1")
    world.route(split(r1=1))
    _envoy(world).kill()
    until(lambda: _status(world) == 200)
    world.revision("r2")
    world.route(split(r2=1))
    assert world.ask()[1]["VERSION"] == "r2"


def _status(world: World) -> int:
    try:
        return world.ask()[0]
    except urllib3.exceptions.HTTPError:
        return 0


def test_kill_9_leaves_no_envoy_and_a_restart_serves_the_same_routes(local_process: Callable[..., Any]) -> None:
    kubernetes, gateway = local_process("kubernetes"), None
    kubernetes.start(kubernetes.site.url("kubernetes") + "/readyz")
    gateway = type(kubernetes)(kubernetes.site, ("gateway",))
    try:
        gateway.start(kubernetes.site.url("envoy-admin") + "/ready")
        world = World(kubernetes.site)
        world.revision("r1")
        world.route(split(r1=1))
        envoy = _envoy(world)
        gateway.kill()
        until(lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE, within_s=5)
        gateway.start(kubernetes.site.url("envoy-admin") + "/ready")
        until(lambda: _status(world) == 200)
        # Pods that come back elsewhere are followed.
        kubernetes.kill()
        kubernetes.start(kubernetes.site.url("kubernetes") + "/readyz")
        until(lambda: any(is_ready(pod) for pod in world.cluster.pods("r1")))
        until(lambda: _status(world) == 200)
        assert gateway.stop() == 0
    finally:
        gateway.end()
