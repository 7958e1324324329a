"""The effective document of a service: where each value comes from, and that JSON keeps it whole."""

import json

import pytest

from pointsman.documents import Config, load
from pointsman.documents.config import as_json, canonical, digest
from pointsman.documents.effective import EffectiveService, effective
from pointsman.documents.pool import Candidate, NodeSettings

PLATFORM = "platform.yaml"
DIGITS = "teams/vision/digits.yaml"
CHAT = "teams/nlp/chat.yaml"


def config(files: dict[str, bytes], *edits: tuple[str, str, str]) -> Config:
    files = dict(files)
    for name, old, new in edits:
        text = files[name].decode()
        assert old in text
        files[name] = text.replace(old, new, 1).encode()
    loaded = load(files)
    assert not loaded.faults, [str(fault) for fault in loaded.faults]
    assert loaded.config is not None
    return loaded.config


def services(files: dict[str, bytes], *edits: tuple[str, str, str]) -> dict[str, EffectiveService]:
    return dict(effective(config(files, *edits), project="acme-ml", region="europe-west4"))


def test_a_service_has_everything_that_a_rollout_needs(repository: dict[str, bytes]) -> None:
    chat = services(repository)["nlp/chat"]
    assert (chat.namespace, chat.name, chat.key) == ("nlp", "chat", "nlp/chat")
    assert (chat.cluster.name, chat.cluster.location, chat.cluster.project) == ("eu", "europe-west4", "acme-ml")
    assert (chat.gateway.name, chat.gateway.namespace) == ("models", "gateway")
    assert (chat.model.registry, chat.model.name, chat.model.alias) == ("mlflow", "chat", "champion")
    assert chat.registry is not None
    assert chat.registry.url == "https://mlflow.example.com"
    assert chat.pool is not None
    assert (chat.pool.name, chat.pool.spec.nodes.max, len(chat.pool.spec.candidates)) == ("l4", 12, 3)
    assert (chat.hostnames, chat.path) == (("chat.example.com",), "/")
    assert (chat.request_timeout, chat.access, chat.replicas) == ("5m", "Open", 4)
    assert chat.policy_name == "standard"
    assert [step.weight for step in chat.policy.steps] == [5, 25, 50]
    assert [channel.name for channel in chat.channels] == ["oncall"]
    assert [window.name for window in chat.freeze_windows] == ["weekends"]
    assert chat.spending_cap is not None
    assert chat.spending_cap.per_hour == 120
    assert chat.experiment is not None
    assert chat.experiment.model.registry == "mlflow"
    assert chat.revision_history_limit == 3


def test_a_service_that_says_little_takes_what_is_built_in(repository: dict[str, bytes]) -> None:
    digits = services(repository, (PLATFORM, "  defaults:\n    requestTimeout: 5m\n", ""))["vision/digits"]
    assert (digits.request_timeout, digits.access, digits.replicas, digits.pool) == ("60s", "Open", 1, None)
    assert digits.hostnames == ("digits-vision.models.example.com",)
    assert (digits.policy_name, digits.policy.bake.baseline_weight) == (None, 2)
    assert (digits.channels, digits.freeze_windows, digits.experiment) == ((), (), None)
    origins = digits.origins
    assert {origins[name] for name in ("replicas", "requestTimeout", "access", "path", "policyName")} == {"built in"}
    assert origins["hostnames"] == "platform.yaml:15:5"
    assert origins["model"] == f"{DIGITS}:6:3"


def test_every_service_survives_json(repository: dict[str, bytes]) -> None:
    for service in services(repository).values():
        written = json.loads(json.dumps(as_json(service)))
        read = EffectiveService.model_validate(written)
        assert read == service
        assert as_json(read) == written
        assert digest(written) == digest(as_json(service))


@pytest.mark.parametrize(
    ("edits", "timeout", "origin"),
    [
        ((), "5m", "platform.yaml:45:5"),
        (((CHAT, "    path: /", "    requestTimeout: 10m"),), "10m", f"{CHAT}:15:5"),
        (((PLATFORM, "requestTimeout: 5m", "access: IAP"),), "60s", "built in"),
    ],
    ids=["platform", "service", "built-in"],
)
def test_the_first_that_says_a_value_decides(
    repository: dict[str, bytes], edits: tuple[tuple[str, str, str], ...], timeout: str, origin: str
) -> None:
    chat = services(repository, *edits)["nlp/chat"]
    assert (chat.request_timeout, chat.origins["requestTimeout"]) == (timeout, origin)


@pytest.mark.parametrize(
    ("edits", "policy", "origin"),
    [
        ((), "standard", f"{CHAT}:11:3"),
        (((CHAT, "  policy: standard\n", ""),), "standard", "platform.yaml:20:7"),
        (
            (
                (CHAT, "  policy: standard\n", ""),
                (PLATFORM, "      policy: standard\n", ""),
                (PLATFORM, "requestTimeout: 5m", "policy: careful"),
            ),
            "careful",
            "platform.yaml:44:5",
        ),
        (((CHAT, "  policy: standard\n", ""), (PLATFORM, "      policy: standard\n", "")), None, "built in"),
    ],
    ids=["service", "namespace", "platform", "built-in"],
)
def test_a_policy_is_the_services_then_its_namespaces_then_the_platforms(
    repository: dict[str, bytes], edits: tuple[tuple[str, str, str], ...], policy: str | None, origin: str
) -> None:
    chat = services(repository, *edits)["nlp/chat"]
    assert (chat.policy_name, chat.origins["policyName"]) == (policy, origin)


def test_a_policy_of_the_own_namespace_comes_before_the_platforms(repository: dict[str, bytes]) -> None:
    own = (
        b"apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: standard}\nspec: {steps: [{weight: 7}]}\n"
    )
    chat = services({**repository, "teams/nlp/own.yaml": own})["nlp/chat"]
    assert [step.weight for step in chat.policy.steps] == [7]
    assert chat.origins["policy.steps"] == "teams/nlp/own.yaml:4:8"


def test_maps_of_a_policy_merge_by_key_and_lists_replace_whole(repository: dict[str, bytes]) -> None:
    defaults = "rollout: {steps: [{weight: 1}], bake: {duration: 3h, baselineWeight: 4}, judge: {profile: Safe}}"
    both = services(repository, (PLATFORM, "requestTimeout: 5m", defaults))
    chat, digits = both["nlp/chat"], both["vision/digits"]
    assert [step.weight for step in chat.policy.steps] == [5, 25, 50]
    assert (chat.policy.bake.duration, chat.policy.bake.baseline_weight, chat.policy.judge.profile) == (
        "30m",
        2,
        "Safe",
    )
    assert len(chat.policy.judge.metrics) == 1
    assert [step.weight for step in digits.policy.steps] == [1]
    assert (digits.policy.bake.duration, digits.policy.bake.baseline_weight) == ("3h", 4)
    assert chat.origins["policy.judge.profile"] == "platform.yaml:45:86"
    assert chat.origins["policy.bake.duration"] == "policies.yaml:14:5"
    assert chat.origins["policy.deadlines.rollout"] == "built in"


def test_a_window_selects_by_namespace_and_label(repository: dict[str, bytes]) -> None:
    window = "selector: {matchExpressions: [{key: tier, operator: In, values: ['1']}]}"
    labelled = (CHAT, "  namespace: nlp", "  namespace: nlp\n  labels: {tier: '1'}")
    assert services(repository, (PLATFORM, "namespaces: [nlp]", window))["nlp/chat"].freeze_windows == ()
    chosen = services(repository, (PLATFORM, "namespaces: [nlp]", window), labelled)
    assert [len(chosen[name].freeze_windows) for name in ("nlp/chat", "vision/digits")] == [1, 0]


def test_a_vertex_registry_is_of_our_project_and_of_the_first_clusters_region(repository: dict[str, bytes]) -> None:
    vertex = (PLATFORM, "type: MLflow\n      url: https://mlflow.example.com", "type: VertexAI")
    zone = (PLATFORM, "location: europe-west4", "location: europe-west4-b")
    registry = services(repository, vertex, zone)["nlp/chat"].registry
    assert registry is not None
    assert (registry.project, registry.location) == ("acme-ml", "europe-west4")


def test_documents_carry_their_namespace_and_their_place(repository: dict[str, bytes]) -> None:
    loaded = config(repository)
    assert loaded.services["vision/digits"].metadata.namespace == "vision"
    assert loaded.places["ModelService/vision/digits"].at(("spec", "model", "uri")) == f"{DIGITS}:7:5"
    assert loaded.places["AcceleratorPool//v6e"].at() == "pools.yaml:21:1"
    assert set(loaded.policies) == {(None, "standard"), (None, "careful")}
    assert set(loaded.rules) == {"nlp/saturated"}


def test_a_node_pool_is_named_after_what_cannot_be_changed_in_place() -> None:
    node = NodeSettings()
    plain = Candidate(machine_type="g2-standard-8", zones=("a-b1-a", "a-b1-b"))
    name = plain.node_pool_name("l4", node)
    assert name == "l4-8139b67f"
    same: list[dict[str, object]] = [{"zones": ("a-b1-b", "a-b1-a")}, {"deadline": "5m"}, {"cooldown": "9m"}]
    other: list[dict[str, object]] = [
        {"provisioning": "Spot"},
        {"accelerator": "nvidia-l4"},
        {"zones": None},
        {"machine_type": "g2-standard-12"},
    ]
    assert {plain.model_copy(update=change).node_pool_name("l4", node) for change in same} == {name}
    names = {plain.model_copy(update=change).node_pool_name("l4", node) for change in other}
    assert len(names | {name, plain.node_pool_name("l4", NodeSettings(boot_disk_size="200Gi"))}) == len(other) + 2
    assert Candidate(node_pool="mine").node_pool_name("l4", node) == "mine"


def test_canonical_json_has_sorted_keys_and_no_spaces() -> None:
    assert canonical({"b": [1, {"d": "é", "c": None}], "a": 1.5}) == '{"a":1.5,"b":[1,{"c":null,"d":"é"}]}'.encode()
