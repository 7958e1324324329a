"""Every way in which a ModelService or its template may be wrong: code, file, line, column and path."""

# ruff: noqa: E501 - a table reads best with one case a line

from collections.abc import Callable

import pytest

Break = Callable[..., list[str]]
CHAT = "teams/nlp/chat.yaml"
DIGITS = "teams/vision/digits.yaml"
SERVER = "spec.template.spec.containers[0]"

FORM = [
    ("unknown-field", "replicas: 4", "replica: 4", "unknown-field 12:3 spec.replica"),
    ("python-name-of-a-field", "path: /", "request_timeout: 5m", "unknown-field 15:5 spec.route.request_timeout"),
    ("status", "spec:\n  model", "status: {}\nspec:\n  model", "unknown-field 6:1 status"),
    ("text-for-a-number", "replicas: 4", 'replicas: "4"', "wrong-type 12:3 spec.replicas"),
    ("fraction-for-a-whole", "replicas: 4", "replicas: 4.5", "wrong-type 12:3 spec.replicas"),
    ("truth-for-a-number", "replicas: 4", "replicas: yes", "wrong-type 12:3 spec.replicas"),
    ("null", "replicas: 4", "replicas:", "wrong-type 12:3 spec.replicas"),
    ("null-of-an-option", "policy: standard", "policy: ~", "wrong-type 11:3 spec.policy"),
    ("number-for-a-version", "alias: champion", "version: 1.10", "wrong-type 9:5 spec.model.version"),
    ("date-for-a-version", "alias: champion", "version: 2026-01-01", "wrong-type 9:5 spec.model.version"),
    ("truth-for-an-alias", "alias: champion", "alias: on", "wrong-type 9:5 spec.model.alias"),
    ("number-for-a-duration", "path: /", "requestTimeout: 30", "wrong-type 15:5 spec.route.requestTimeout"),
    ("sexagesimal-duration", "path: /", "requestTimeout: 1:30", "wrong-type 15:5 spec.route.requestTimeout"),
    ("list-for-a-map", "alias: champion", "alias: [champion]", "wrong-type 9:5 spec.model.alias"),
    ("map-for-a-list", "hostnames: [chat.example.com]", "hostnames: {a: b}", "wrong-type 14:5 spec.route.hostnames"),
    (
        "number-for-a-label",
        "  namespace: nlp",
        "  namespace: nlp\n  labels: {tier: 1}",
        "wrong-type 6:12 metadata.labels.tier",
    ),
    ("number-for-a-key", "  namespace: nlp", "  namespace: nlp\n  labels: {1: a}", "wrong-type 6:12 metadata.labels.1"),
    ("too-few", "replicas: 4", "replicas: -1", "out-of-bounds 12:3 spec.replicas"),
    ("too-many", "replicas: 4", "replicas: 1001", "out-of-bounds 12:3 spec.replicas"),
    ("enum", "path: /", "access: iap", "out-of-bounds 15:5 spec.route.access"),
    ("pattern-of-a-path", "path: /", "path: v1", "out-of-bounds 15:5 spec.route.path"),
    ("pattern-of-a-name", "name: chat\n  namespace", "name: chat_8b\n  namespace", "out-of-bounds 4:3 metadata.name"),
    ("long-name", "name: chat\n  namespace", f"name: {'c' * 53}\n  namespace", "out-of-bounds 4:3 metadata.name"),
    ("label-key", "  namespace: nlp", "  namespace: nlp\n  labels: {a b: c}", "out-of-bounds 6:12 metadata.labels.a b"),
    ("empty-list", "hostnames: [chat.example.com]", "hostnames: []", "out-of-bounds 14:5 spec.route.hostnames"),
    ("item", "[chat.example.com]", "[Chat_Bot]", "out-of-bounds 14:17 spec.route.hostnames[0]"),
    ("long-duration", "path: /", "requestTimeout: 2h", "out-of-bounds 15:5 spec.route.requestTimeout"),
    ("decimal-duration", "path: /", "requestTimeout: 1.5m", "out-of-bounds 15:5 spec.route.requestTimeout"),
    ("days", "path: /", "requestTimeout: 1d", "out-of-bounds 15:5 spec.route.requestTimeout"),
    (
        "time-without-zone",
        "end: 2026-12-15T09:00:00Z",
        "end: 2026-12-15T09:00:00",
        "out-of-bounds 38:5 spec.experiment.end",
    ),
    ("no-time", "end: 2026-12-15T09:00:00Z", "end: tomorrow", "out-of-bounds 38:5 spec.experiment.end"),
    ("number-for-a-time", "end: 2026-12-15T09:00:00Z", "end: 1797325200", "wrong-type 38:5 spec.experiment.end"),
    ("missing", "    end: 2026-12-15T09:00:00Z\n", "", "missing-field 33:3 spec.experiment.end"),
    ("missing-name", "  name: chat\n  namespace", "  namespace", "missing-field 3:1 metadata.name"),
    ("missing-kind", "kind: ModelService\n", "", "missing-field 1:1 kind"),
    ("kind", "kind: ModelService", "kind: ModelServise", "unknown-reference 2:1 kind"),
    ("version-of-the-api", "pointsman.dev/v1", "pointsman.dev/v2", "unknown-reference 1:1 apiVersion"),
    ("duplicate-key", "replicas: 4", "replicas: 4\n  replicas: 5", "duplicate-key 13:3 spec.replicas"),
    ("merge-key", "spec:\n  model", "spec:\n  <<: {a: 1}\n  model", "syntax 7:3 spec.<<"),
    ("tag", "alias: champion", "alias: !env NAME", "syntax 9:12 spec.model.alias"),
]


@pytest.mark.parametrize(("old", "new", "expected"), [pytest.param(*row[1:], id=row[0]) for row in FORM])
def test_a_fault_of_form_lies_at_the_key_of_its_field(breaking: Break, old: str, new: str, expected: str) -> None:
    code, rest = expected.split(" ", 1)
    place, path = rest.split(" ", 1)
    # A service that loses its name is missed by nobody; one that is called otherwise is, by the alert rule.
    told = [
        fault for fault in breaking({CHAT: (old, new)}) if not fault.startswith("unknown-reference teams/nlp/alerts")
    ]
    assert told == [f"{code} {CHAT}:{place} {path}"]


TEMPLATE = [
    ("typo", "emptyDir: {}", "emptydir: {}", "unknown-field 32:11 spec.template.spec.volumes[0].emptydir"),
    ("typo-of-a-container", "          ports:", "          port:", "unknown-field 25:11 " + SERVER + ".port"),
    ("text-for-a-port", "containerPort: 8000", 'containerPort: "8000"', f"wrong-type 26:15 {SERVER}.ports[0].containerPort"),
    ("port-too-high", "containerPort: 8000", "containerPort: 80000", f"out-of-bounds 26:15 {SERVER}.ports[0].containerPort"),
    ("number-for-an-env", "          ports:", "          env: [{name: A, value: 1}]\n          ports:", f"wrong-type 25:27 {SERVER}.env[0].value"),
    ("no-quantity", "nvidia.com/gpu: 1", "memory: 4 GB", f"out-of-bounds 29:15 {SERVER}.resources.limits.memory"),
    ("nameless", "        - name: server\n          image", "        - image", f"missing-field 23:11 {SERVER}.name"),
    ("imageless", "          image: vllm/vllm-openai:v0.11.0\n", "", f"missing-field 23:11 {SERVER}.image"),
    ("null", "emptyDir: {}", "emptyDir:", "wrong-type 32:11 spec.template.spec.volumes[0].emptyDir"),
    ("no-list", "volumes:\n        - name: shm\n          emptyDir: {}", "volumes: {}", "wrong-type 30:7 spec.template.spec.volumes"),
    ("not-restarted", "      volumes:", "      restartPolicy: Never\n      volumes:", "out-of-bounds 30:7 spec.template.spec.restartPolicy"),
    ("latest", ":v0.11.0", ":latest", f"image-unpinned 24:11 {SERVER}.image"),
    ("untagged", ":v0.11.0", "", f"image-unpinned 24:11 {SERVER}.image"),
    ("untagged-with-a-port", "vllm/vllm-openai:v0.11.0", "localhost:5000/vllm", f"image-unpinned 24:11 {SERVER}.image"),
    ("two-ports", "8000\n", "8000\n            - containerPort: 8001\n", f"port-unclear 25:11 {SERVER}.ports"),
    ("no-port", "          ports:\n            - containerPort: 8000\n", "", f"port-unclear 23:11 {SERVER}.ports"),
    ("reserved-label", "app: chat", "pointsman.dev/app: chat", "reserved-label 18:7 spec.template.metadata.labels"),
    ("reserved-selector", "      volumes:", "      nodeSelector: {pointsman.dev/pool: l4}\n      volumes:", "reserved-label 30:7 spec.template.spec.nodeSelector"),
    ("host-path", "emptyDir: {}", "hostPath: {path: /}", "unsafe-template 32:11 spec.template.spec.volumes[0].hostPath"),
    ("host-network", "      volumes:", "      hostNetwork: true\n      volumes:", "unsafe-template 30:7 spec.template.spec.hostNetwork"),
    ("host-port", "8000\n", "8000\n              hostPort: 80\n", f"unsafe-template 27:15 {SERVER}.ports[0].hostPort"),
    ("privileged", "          ports:", "          securityContext: {privileged: true}\n          ports:", f"unsafe-template 25:29 {SERVER}.securityContext.privileged"),
    ("capability", "          ports:", "          securityContext: {capabilities: {add: [SYS_ADMIN]}}\n          ports:", f"unsafe-template 25:44 {SERVER}.securityContext.capabilities.add"),
    ("foreign-account", "serviceAccountName: serving", "serviceAccountName: admin", "foreign-account 21:7 spec.template.spec.serviceAccountName"),
    ("too-many-gpus", "nvidia.com/gpu: 1", "nvidia.com/gpu: 2", f"accelerator-mismatch 28:13 {SERVER}.resources.limits"),
    ("other-accelerator", "nvidia.com/gpu: 1", "google.com/tpu: 4", f"accelerator-mismatch 28:13 {SERVER}.resources.limits"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), [pytest.param(*row[1:], id=row[0]) for row in TEMPLATE])
def test_a_template_is_checked_before_kubernetes_sees_it(breaking: Break, old: str, new: str, expected: str) -> None:
    code, place, path = expected.split(" ", 2)
    assert breaking({CHAT: (old, new)}) == [f"{code} {CHAT}:{place} {path}"]


RULES = [
    ("two-sources", "alias: champion", "alias: champion\n    uri: gs://x/y", "model-source 7:3 spec.model"),
    ("no-source", "    name: chat\n    alias: champion\n", "    version: one\n", "model-source 7:3 spec.model"),
    ("alias-and-version", "alias: champion", "alias: champion\n    version: one", "model-source 7:3 spec.model"),
    ("neither-alias-nor-version", "    alias: champion\n", "", "model-source 7:3 spec.model"),
    ("source-of-the-experiment", "alias: challenger", "version: one\n      alias: a", "model-source 34:5 spec.experiment.model"),
    ("same-experiment", "alias: challenger", "alias: champion", "experiment-same 34:5 spec.experiment.model"),
    ("same-experiment-by-default", "alias: challenger", "alias: champion\n      registry: mlflow", "experiment-same 34:5 spec.experiment.model"),
    ("experiment-ends-before-it-starts", "end: 2026-12-15", "end: 2026-11-15", "out-of-bounds 38:5 spec.experiment.end"),
    ("unknown-pool", "pool: l4", "pool: l4-pol", "unknown-reference 10:3 spec.pool"),
    ("unknown-policy", "policy: standard", "policy: standart", "unknown-reference 11:3 spec.policy"),
    ("unknown-registry", "alias: champion", "alias: champion\n    registry: mlflo", "unknown-reference 10:5 spec.model.registry"),
    ("unknown-namespace", "namespace: nlp", "namespace: nlq", "unknown-reference 5:3 metadata.namespace"),
    ("foreign-namespace", "namespace: nlp", "namespace: vision", "foreign-namespace 5:3 metadata.namespace"),
    ("reserved-label", "  namespace: nlp", "  namespace: nlp\n  labels: {pointsman.dev/x: y}", "reserved-label 6:3 metadata.labels"),
    ("reserved-annotation", "  namespace: nlp", "  namespace: nlp\n  annotations: {pointsman.dev/x: y}", "reserved-label 6:3 metadata.annotations"),
    ("too-many-replicas", "replicas: 4", "replicas: 8", "pool-too-small 12:3 spec.replicas"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), [pytest.param(*row[1:], id=row[0]) for row in RULES])
def test_a_rule_of_services_says_which_field_breaks_it(breaking: Break, old: str, new: str, expected: str) -> None:
    code, place, path = expected.split(" ", 2)
    assert breaking({CHAT: (old, new)}) == [f"{code} {CHAT}:{place} {path}"]


def test_a_pool_of_another_cluster_is_elsewhere(breaking: Break) -> None:
    edits = {DIGITS: ("  template:", "  pool: cpu-us\n  template:")}
    assert breaking(edits) == [f"pool-elsewhere {DIGITS}:8:3 spec.pool"]


def test_a_pool_that_is_elsewhere_by_default_is_told_where_it_would_be_named(breaking: Break) -> None:
    edits = {"platform.yaml": ("requestTimeout: 5m", "pool: cpu-us")}
    assert breaking(edits) == [f"pool-elsewhere {DIGITS}:5:1 spec.pool"]


def test_a_policy_that_the_namespace_may_not_choose_is_refused(breaking: Break) -> None:
    fast = "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: fast}\nspec: {}\n"
    edits = {DIGITS: ("  template:", "  policy: fast\n  template:")}
    assert breaking(edits, {"fast.yaml": fast}) == [f"policy-not-allowed {DIGITS}:8:3 spec.policy"]


def test_a_namespace_may_not_put_its_own_policy_in_place_of_a_prescribed_one(breaking: Break) -> None:
    own = "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: careful}\nspec: {}\n"
    assert breaking({}, {"teams/nlp/careful.yaml": own, "teams/vision/careful.yaml": own}) == [
        "policy-not-allowed teams/vision/careful.yaml:3:12 metadata.name"
    ]


def test_a_policy_of_another_namespace_is_not_to_be_seen(breaking: Break) -> None:
    own = "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: ours}\nspec: {}\n"
    edits = {CHAT: ("policy: standard", "policy: ours")}
    assert breaking(edits, {"teams/far/ours.yaml": own}) == [f"unknown-reference {CHAT}:11:3 spec.policy"]
    assert breaking(edits, {"teams/nlp/ours.yaml": own}) == []


def test_a_tpu_pod_takes_every_chip_of_its_node(breaking: Break) -> None:
    def with_chips(chips: str) -> list[str]:
        resources = f"resources: {{limits: {{google.com/tpu: {chips}}}}}" if chips else "tty: false"
        return breaking({DIGITS: ("          ports:", f"          {resources}\n          ports:"),
                         f"{DIGITS}#pool": ("  template:", "  pool: v6e\n  template:")})  # fmt: skip

    assert with_chips("4") == []
    assert with_chips("2") == [f"accelerator-mismatch {DIGITS}:14:23 {SERVER}.resources.limits"]
    assert with_chips("") == [f"accelerator-mismatch {DIGITS}:12:11 {SERVER}.resources.limits"]


@pytest.mark.parametrize(
    ("capacity", "replicas", "fits"),
    [
        ("", 6, True),
        ("", 7, False),
        ("{strategy: Step}", 9, True),
        ("{strategy: Step}", 10, False),
        ("{strategy: Step, maxSurge: 2}", 10, True),
        ("{strategy: Step, maxSurge: 3}", 10, False),
        ("{strategy: Swap}", 12, True),
        ("{strategy: Refuse}", 12, True),
        ("{strategy: Refuse}", 13, False),
    ],
)
def test_a_pool_must_hold_the_peak_of_a_rollout(breaking: Break, capacity: str, replicas: int, fits: bool) -> None:
    edits = {CHAT: ("replicas: 4", f"replicas: {replicas}")}
    if capacity:
        edits["policies.yaml"] = ("  judge:", f"  capacity: {capacity}\n  judge:")
    assert breaking(edits) == ([] if fits else [f"pool-too-small {CHAT}:12:3 spec.replicas"])


def test_two_services_may_not_take_one_route(breaking: Break, repository: dict[str, bytes]) -> None:
    second = repository[CHAT].decode().replace("name: chat\n  namespace", "name: chat2\n  namespace")
    assert breaking({}, {"teams/nlp/chat2.yaml": second}) == ["route-taken teams/nlp/chat2.yaml:13:3 spec.route"]
    elsewhere = second.replace("path: /", "path: /v2")
    assert breaking({}, {"teams/nlp/chat2.yaml": elsewhere}) == []


def test_a_host_name_is_needed_from_somewhere(breaking: Break) -> None:
    edits = {"platform.yaml": ("    domain: models.example.com\n", "")}
    assert breaking(edits) == [f"hostname-missing {DIGITS}:5:1 spec.route.hostnames"]


@pytest.mark.parametrize("registries", [0, 2])
def test_a_model_by_name_needs_to_know_its_registry(breaking: Break, registries: int) -> None:
    entry = "    - name: mlflow\n      type: MLflow\n      url: https://mlflow.example.com\n"
    other = "    - {name: ci, type: Announced}\n"
    edits = {"platform.yaml": ("  registries:\n" + entry, "  registries:\n" + entry + other if registries else "")}
    assert breaking(edits) == [
        f"model-source {CHAT}:7:3 spec.model",
        f"model-source {CHAT}:34:5 spec.experiment.model",
    ]


RESTRICTED = """\
        - name: server
          image: digits:1.0
          securityContext:
            allowPrivilegeEscalation: false
            runAsNonRoot: true
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}
"""


def test_the_restricted_standard_asks_for_everything_that_kubernetes_asks(breaking: Break) -> None:
    security = {"platform.yaml": ("allowedPolicies: [careful, standard]", "podSecurity: Restricted")}
    plain = "        - name: server\n          image: digits:1.0\n"
    context = f"{SERVER}.securityContext"
    assert breaking(security) == [
        f"unsafe-template {DIGITS}:11:11 {context}.allowPrivilegeEscalation",
        f"unsafe-template {DIGITS}:11:11 {context}.capabilities.drop",
        f"unsafe-template {DIGITS}:11:11 {context}.runAsNonRoot",
        f"unsafe-template {DIGITS}:11:11 {context}.seccompProfile",
    ]
    assert breaking({**security, DIGITS: (plain, RESTRICTED)}) == []
    privileged = {"platform.yaml": ("allowedPolicies: [careful, standard]", "podSecurity: Privileged")}
    path = ("      containers:", "      hostPID: true\n      containers:")
    assert breaking({**privileged, DIGITS: path}) == []


def test_every_fault_of_a_document_is_told_at_once(breaking: Break) -> None:
    edits = {
        CHAT: ("replicas: 4", "replica: 4"),
        f"{CHAT}#image": (":v0.11.0", ":latest"),
        f"{CHAT}#alias": ("    alias: champion\n", ""),
        f"{CHAT}#start": ("start: 2026-12-01T09:00:00Z", "start: soon"),
        "policies.yaml": ("weight: 25", "weight: 3"),
    }
    assert breaking(edits) == [
        "weights-order policies.yaml:9:7 spec.steps[1].weight",
        f"model-source {CHAT}:7:3 spec.model",
        f"unknown-field {CHAT}:11:3 spec.replica",
        f"image-unpinned {CHAT}:23:11 {SERVER}.image",
        f"out-of-bounds {CHAT}:36:5 spec.experiment.start",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  model:\n    name: chat", "  modle:\n    name: chat", f"unknown-field {CHAT}:7:3 spec.modle"),
        (
            "        app: chat\n    spec:",
            "        app: chat\n    spek:",
            f"unknown-field {CHAT}:20:5 spec.template.spek",
        ),
        ("        - name: server", "        - nmae: server", f"unknown-field {CHAT}:23:11 {SERVER}.nmae"),
    ],
)
def test_a_required_field_that_is_misspelt_is_one_fault(breaking: Break, old: str, new: str, expected: str) -> None:
    assert breaking({CHAT: (old, new)}) == [expected]


def test_a_required_field_is_missing_beside_one_that_nobody_knows(breaking: Break) -> None:
    edits = {DIGITS: ("  name: digits", "  colour: blue")}
    assert breaking(edits) == [
        f"missing-field {DIGITS}:3:1 metadata.name",
        f"unknown-field {DIGITS}:4:3 metadata.colour",
    ]


def test_what_a_misspelt_field_leaves_open_is_not_told_as_well(breaking: Break) -> None:
    edits = {DIGITS: ("    uri: gs", "    url: gs")}
    assert breaking(edits) == [f"unknown-field {DIGITS}:7:5 spec.model.url"]
