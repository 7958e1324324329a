"""Every way in which the Platform, its pools, policies and alert rules may be wrong."""

# ruff: noqa: E501 - a table reads best with one case a line

from collections.abc import Callable

import pytest

from pointsman.documents import load

Break = Callable[..., list[str]]
PLATFORM, POOLS, POLICIES, ALERTS = "platform.yaml", "pools.yaml", "policies.yaml", "teams/nlp/alerts.yaml"
SECOND = "    - machineType: g2-standard-8\n    - mac"

CASES = [
    # Platform
    ("typo", PLATFORM, "freezeWindows:", "freezeWindow:", "unknown-field 36:3 spec.freezeWindow"),
    ("location", PLATFORM, "location: us-central1", "location: mars", "out-of-bounds 11:7 spec.clusters[1].location"),
    ("cluster-twice", PLATFORM, "  gateway:", "    - {name: us, location: us-east1}\n  gateway:", "duplicate-document 12:8 spec.clusters[2].name"),
    ("namespace-twice", PLATFORM, "  registries:", "    - {name: far, paths: [elsewhere]}\n  registries:", "duplicate-document 28:8 spec.namespaces[3].name"),
    ("folder-twice", PLATFORM, "[teams/far]", "[teams/nlp/]", "duplicate-document 26:15 spec.namespaces[2].paths[0]"),
    ("absolute-folder", PLATFORM, "[teams/far]", "[/teams/far]", "out-of-bounds 26:15 spec.namespaces[2].paths[0]"),
    ("glob", PLATFORM, "[teams/far]", "[teams/*]", "out-of-bounds 26:15 spec.namespaces[2].paths[0]"),
    ("no-folder", PLATFORM, "[teams/far]", "[]", "out-of-bounds 26:7 spec.namespaces[2].paths"),
    ("namespace-without-folders", PLATFORM, "      paths: [teams/far]\n", "", "missing-field 25:7 spec.namespaces[2].paths"),
    ("unknown-cluster", PLATFORM, "cluster: us", "cluster: uss", "unknown-reference 27:7 spec.namespaces[2].cluster"),
    ("unknown-channel", PLATFORM, "channels: [oncall]", "channels: [oncal]", "unknown-reference 19:18 spec.namespaces[0].channels[0]"),
    ("unknown-policy", PLATFORM, "policy: standard", "policy: nope", "unknown-reference 20:7 spec.namespaces[0].policy"),
    ("unknown-allowed-policy", PLATFORM, "[careful, standard]", "[careful, fast]", "unknown-reference 24:34 spec.namespaces[1].allowedPolicies[1]"),
    ("unknown-namespace-of-a-window", PLATFORM, "namespaces: [nlp]", "namespaces: [nlp, x]", "unknown-reference 41:25 spec.freezeWindows[0].namespaces[1]"),
    ("unknown-default-pool", PLATFORM, "requestTimeout: 5m", "pool: nope", "unknown-reference 45:5 spec.defaults.pool"),
    ("unknown-default-policy", PLATFORM, "requestTimeout: 5m", "policy: nope", "unknown-reference 45:5 spec.defaults.policy"),
    ("unknown-default-channel", PLATFORM, "requestTimeout: 5m", "channels: [x]", "unknown-reference 45:16 spec.defaults.channels[0]"),
    ("time-zone", PLATFORM, "Europe/Berlin", "CET+1", "window-invalid 40:7 spec.freezeWindows[0].timeZone"),
    ("hour-25", PLATFORM, "0 16 * * FRI", "0 25 * * FRI", "window-invalid 38:7 spec.freezeWindows[0].schedule"),
    ("six-fields", PLATFORM, "0 16 * * FRI", "0 0 16 * * FRI", "window-invalid 38:7 spec.freezeWindows[0].schedule"),
    ("30-february", PLATFORM, "0 16 * * FRI", "0 0 30 2 *", "window-invalid 38:7 spec.freezeWindows[0].schedule"),
    ("schedule-without-duration", PLATFORM, "      duration: 64h\n", "", "window-invalid 37:7 spec.freezeWindows[0].duration"),
    ("both-forms-of-window", PLATFORM, "namespaces: [nlp]", "start: 2026-11-26T00:00:00Z", "window-invalid 41:7 spec.freezeWindows[0].start"),
    ("window-ends-first", PLATFORM, "schedule: 0 16 * * FRI\n      duration: 64h", "start: 2026-11-26T00:00:00Z\n      end: 2026-11-25T00:00:00Z", "window-invalid 39:7 spec.freezeWindows[0].end"),
    ("window-never-opens", PLATFORM, "schedule: 0 16 * * FRI\n      duration: 64h", "reason: none", "window-invalid 37:7 spec.freezeWindows[0]"),
    ("long-window", PLATFORM, "duration: 64h", "duration: 800h", "out-of-bounds 39:7 spec.freezeWindows[0].duration"),
    ("selector", PLATFORM, "namespaces: [nlp]", "selector: {matchExpressions: [{key: tier, operator: In}]}", "missing-field 41:37 spec.freezeWindows[0].selector.matchExpressions[0].values"),
    ("cap", PLATFORM, "perHour: 120", "perHour: 1.5", "cap-below-minimum 43:5 spec.spendingCap.perHour"),
    ("cap-of-nothing", PLATFORM, "perHour: 120", "perHour: 0", "out-of-bounds 43:5 spec.spendingCap.perHour"),
    ("channel-url", PLATFORM, "secret: slack-oncall", "url: https://x", "unknown-field 35:7 spec.channels[0].url"),
    ("channel-without-secret", PLATFORM, "      secret: slack-oncall\n", "", "missing-field 33:7 spec.channels[0]"),
    ("registry-without-url", PLATFORM, "      url: https://mlflow.example.com\n", "", "missing-field 29:7 spec.registries[0].url"),
    ("plain-http", PLATFORM, "https://mlflow", "http://mlflow", "out-of-bounds 31:7 spec.registries[0].url"),
    ("owner", PLATFORM, "channels: [oncall]", "owners: [lea@example.com]", "out-of-bounds 19:16 spec.namespaces[0].owners[0]"),
    ("default-deadline", PLATFORM, "requestTimeout: 5m", "rollout: {deadlines: {rollout: 1h}}", "deadline-too-short 45:27 spec.defaults.rollout.deadlines.rollout"),
    ("default-weights", PLATFORM, "requestTimeout: 5m", "rollout: {steps: [{weight: 5}, {weight: 4}]}", "weights-order 45:37 spec.defaults.rollout.steps[1].weight"),
    ("namespaced-platform", PLATFORM, "name: acme", "name: acme\n  namespace: nlp", "platform-scope 5:3 metadata.namespace"),
    # AcceleratorPool
    ("namespaced-pool", POOLS, "name: l4", "name: l4\n  namespace: nlp", "platform-scope 5:3 metadata.namespace"),
    ("unknown-cluster-of-a-pool", POOLS, "cluster: eu", "cluster: asia", "unknown-reference 6:3 spec.cluster"),
    ("min-over-max", POOLS, "min: 2", "min: 20", "out-of-bounds 9:5 spec.nodes.min"),
    ("no-nodes", POOLS, "    max: 12\n", "", "missing-field 7:3 spec.nodes.max"),
    ("accelerator-of-another-machine", POOLS, "nvidia-l4", "nvidia-tesla-t4", "candidate-invalid 12:7 spec.candidates[0].accelerator"),
    ("cpu-machine-with-accelerator", POOLS, "machineType: e2-standard-4", "machineType: e2-standard-4\n      accelerator: nvidia-l4", "candidate-invalid 43:7 spec.candidates[0].accelerator"),
    ("count-of-another-machine", POOLS, SECOND, SECOND.replace("-8\n", "-8\n      acceleratorCount: 2\n"), "candidate-invalid 17:7 spec.candidates[1].acceleratorCount"),
    ("n1-without-count", POOLS, SECOND, SECOND.replace("g2-standard-8\n", "n1-standard-4\n      accelerator: nvidia-tesla-t4\n"), "candidate-invalid 16:7 spec.candidates[1].acceleratorCount"),
    ("reservation-missing", POOLS, "      reservation: l4-serving\n", "", "candidate-invalid 11:7 spec.candidates[0].reservation"),
    ("reservation-without-zone", POOLS, "      zones: [europe-west4-a]\n", "", "candidate-invalid 11:7 spec.candidates[0].zones"),
    ("reservation-with-two-zones", POOLS, "[europe-west4-a]", "[europe-west4-a, europe-west4-b]", "candidate-invalid 15:7 spec.candidates[0].zones"),
    ("reservation-of-another-mode", POOLS, "provisioning: Reservation", "provisioning: Spot", "candidate-invalid 14:7 spec.candidates[0].reservation"),
    ("max-run-duration-of-another-mode", POOLS, "provisioning: FlexStart", "provisioning: Spot", "candidate-invalid 19:7 spec.candidates[2].maxRunDuration"),
    ("unknown-mode", POOLS, "provisioning: FlexStart", "provisioning: Flexstart", "out-of-bounds 18:7 spec.candidates[2].provisioning"),
    ("topology-of-four-hosts", POOLS, "topology: 2x2", "topology: 4x4", "candidate-invalid 31:7 spec.candidates[0].topology"),
    ("tpu-without-topology", POOLS, "      topology: 2x2\n", "", "candidate-invalid 29:7 spec.candidates[0].topology"),
    ("gpu-with-topology", POOLS, SECOND, SECOND.replace("-8\n", "-8\n      topology: 2x2\n"), "candidate-invalid 17:7 spec.candidates[1].topology"),
    ("node-pool-and-machine", POOLS, SECOND, SECOND.replace("-8\n", "-8\n      nodePool: mine\n"), "candidate-invalid 16:7 spec.candidates[1].machineType"),
    ("neither-machine-nor-node-pool", POOLS, SECOND, SECOND.replace("machineType: g2-standard-8", "provisioning: Spot"), "missing-field 16:7 spec.candidates[1].machineType"),
    ("bounds-in-the-only-one", POOLS, "machineType: e2-standard-4", "machineType: e2-standard-4\n      deadline: 30s", "out-of-bounds 43:7 spec.candidates[0].deadline"),
    ("typo-in-the-only-one", POOLS, "topology: 2x2", "topolgy: 2x2", "unknown-field 31:7 spec.candidates[0].topolgy"),
    ("typo-nearer-to-a-field-that-may-be-missing", POOLS, "  nodes:\n    max: 4", "  nodeq:\n    max: 4", "unknown-field 26:3 spec.nodeq"),
    ("typo-by-which-a-neighbour-is-judged", POOLS, "provisioning: Reservation", "provisoning: Reservation", "unknown-field 13:7 spec.candidates[0].provisoning"),
    ("candidate-twice", POOLS, SECOND, f"    - machineType: g2-standard-8\n{SECOND}", "candidate-invalid 17:7 spec.candidates[2]"),
    ("mixed-accelerators", POOLS, "g2-standard-24", "e2-standard-4", "accelerator-mismatch 17:7 spec.candidates[2].machineType"),
    # RolloutPolicy
    ("falling-weight", POLICIES, "weight: 25", "weight: 3", "weights-order 9:7 spec.steps[1].weight"),
    ("same-weight", POLICIES, "weight: 25", "weight: 5", "weights-order 9:7 spec.steps[1].weight"),
    ("late-mirror", POLICIES, "weight: 50", "mirrorPercent: 50", "weights-order 11:7 spec.steps[2].mirrorPercent"),
    ("late-cohort", POLICIES, "weight: 50", "weight: 50\n      cohort: {headers: [{name: a, value: b}]}", "weights-order 12:7 spec.steps[2].cohort"),
    ("weight-100", POLICIES, "weight: 50", "weight: 100", "weight-over-bake 11:7 spec.steps[2].weight"),
    ("weight-over-bake", POLICIES, "weight: 50", "weight: 98.1", "weight-over-bake 11:7 spec.steps[2].weight"),
    ("weight-over-100", POLICIES, "weight: 50", "weight: 101", "out-of-bounds 11:7 spec.steps[2].weight"),
    ("two-decimals", POLICIES, "weight: 50", "weight: 50.55", "out-of-bounds 11:7 spec.steps[2].weight"),
    ("not-a-number", POLICIES, "weight: 50", "weight: .nan", "out-of-bounds 11:7 spec.steps[2].weight"),
    ("step-of-nothing", POLICIES, "- weight: 50\n      hold", "- hold", "missing-field 11:7 spec.steps[2].weight"),
    ("weight-and-mirror", POLICIES, "mirrorPercent: 20", "mirrorPercent: 20\n      weight: 5", "out-of-bounds 29:7 spec.steps[0].mirrorPercent"),
    ("empty-cohort", POLICIES, "cohort:\n        headers:\n          - name: x-user-group\n            value: staff", "cohort: {}", "missing-field 31:7 spec.steps[1].cohort"),
    ("baseline", POLICIES, "baselineWeight: 2", "baselineWeight: 51", "out-of-bounds 15:5 spec.bake.baselineWeight"),
    ("deadline", POLICIES, "rollout: 48h", "rollout: 2h", "deadline-too-short 43:5 spec.deadlines.rollout"),
    ("deadline-by-default", POLICIES, "expiresAfter: 12h\n    - weight: 5\n      hold: 1h\n  deadlines:\n    rollout: 48h", "expiresAfter: 24h", "deadline-too-short 27:1 spec.deadlines.rollout"),
    ("metric-type", POLICIES, "type: Ratio", "type: Ration", "out-of-bounds 19:9 spec.judge.metrics[0].type"),
    ("metric-without-type", POLICIES, "        type: Ratio\n", "", "missing-field 18:9 spec.judge.metrics[0].type"),
    ("metric-without-total", POLICIES, "        total: chat_answers_total\n", "", "missing-field 18:9 spec.judge.metrics[0].total"),
    ("field-of-another-metric", POLICIES, "        type: Ratio\n", "        type: Ratio\n        histogram: x\n", "unknown-field 20:9 spec.judge.metrics[0].histogram"),
    ("metric-twice", POLICIES, "        total: chat_answers_total\n", "        total: chat_answers_total\n      - {name: refusals, type: Latency, histogram: h}\n", "duplicate-document 22:10 spec.judge.metrics[1].name"),
    ("too-many-metrics", POLICIES, "        total: chat_answers_total\n", "        total: chat_answers_total\n" + "".join(f"      - {{name: own-{number}, type: Latency, histogram: h}}\n" for number in range(20)), "out-of-bounds 17:5 spec.judge.metrics"),
    ("function", POLICIES, 'chat_refusals_total{code=~"4.."}', "rate(chat_refusals_total[5m])", "metric-not-selector 20:9 spec.judge.metrics[0].bad"),
    ("range", POLICIES, 'chat_refusals_total{code=~"4.."}', "chat_refusals_total[5m]", "metric-not-selector 20:9 spec.judge.metrics[0].bad"),
    ("surge-without-step", POLICIES, "  judge:", "  capacity: {maxSurge: 1}\n  judge:", "out-of-bounds 16:14 spec.capacity.maxSurge"),
    ("surge-of-nothing", POLICIES, "  judge:", "  capacity: {strategy: Step, maxSurge: 0%}\n  judge:", "out-of-bounds 16:30 spec.capacity.maxSurge"),
    ("surge-of-a-list", POLICIES, "  judge:", "  capacity: {strategy: Step, maxSurge: [1]}\n  judge:", "wrong-type 16:30 spec.capacity.maxSurge"),
    # AlertRule
    ("unknown-service", ALERTS, "service: chat", "service: chut", "unknown-reference 15:9 spec.actions[2].rollBack.service"),
    ("unknown-channel-of-a-rule", ALERTS, "channels: [oncall]", "channels: [ops]", "unknown-reference 13:20 spec.actions[1].notify.channels[0]"),
    ("unknown-pool-of-a-rule", ALERTS, "pool: l4", "pool: h100", "unknown-reference 10:9 spec.actions[0].scalePool.pool"),
    ("foreign-pool", ALERTS, "pool: l4", "pool: v6e", "foreign-target 10:9 spec.actions[0].scalePool.pool"),
    ("no-alert", ALERTS, "name: queue over 20", "severities: [Critical]", "missing-field 6:3 spec.alert"),
    ("severity", ALERTS, "name: queue over 20", "name: x\n    severities: [critical]", "out-of-bounds 8:18 spec.alert.severities[0]"),
    ("on", ALERTS, "name: queue over 20", "name: x\n    on: y", "unknown-field 8:5 spec.alert.on"),
    ("nobody-to-roll-back", ALERTS, "service: chat", "promotedWithin: 2h", "missing-field 14:7 spec.actions[2].rollBack"),
    ("two-to-roll-back", ALERTS, "service: chat", "service: chat\n        serviceLabel: x", "out-of-bounds 14:7 spec.actions[2].rollBack"),
    ("two-actions-in-one", ALERTS, "addNodes: 2", "addNodes: 2\n      pause: {service: chat}", "out-of-bounds 9:7 spec.actions[0]"),
    ("action-of-nothing", ALERTS, "    - scalePool:\n        pool: l4\n        addNodes: 2\n", "    - {}\n", "missing-field 9:7 spec.actions[0]"),
    ("too-many-nodes", ALERTS, "addNodes: 2", "addNodes: 17", "out-of-bounds 11:9 spec.actions[0].scalePool.addNodes"),
    ("pipeline-of-nothing", ALERTS, "    - scalePool:\n        pool: l4\n        addNodes: 2\n", "    - startPipeline: {parameters: {a: b}}\n", "missing-field 9:7 spec.actions[0].startPipeline"),
    ("no-actions", ALERTS, "cooldown: 30m", "cooldown: 31d", "out-of-bounds 16:3 spec.cooldown"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "expected"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_a_fault_has_its_code_and_its_place(breaking: Break, file: str, old: str, new: str, expected: str) -> None:
    code, place, path = expected.split(" ", 2)
    assert breaking({file: (old, new)}) == [f"{code} {file}:{place} {path}"]


def test_a_repository_needs_a_platform(breaking: Break) -> None:
    assert breaking({}, {PLATFORM: None}) == ["platform-missing .:1:1 Platform"]
    assert [fault.code for fault in load({}).faults] == ["platform-missing"]


def test_the_later_of_two_platforms_is_told(breaking: Break, repository: dict[str, bytes]) -> None:
    second = repository[PLATFORM].decode().replace("name: acme", "name: acme2")
    assert breaking({}, {"z.yaml": second}) == ["duplicate-document z.yaml:4:3 metadata.name"]


def test_the_later_of_two_documents_is_told_within_a_file_and_across_files(
    breaking: Break, repository: dict[str, bytes]
) -> None:
    chat = repository["teams/nlp/chat.yaml"].decode()
    assert breaking({}, {"teams/nlp/a.yaml": chat}) == ["duplicate-document teams/nlp/chat.yaml:4:3 metadata.name"]
    twice = f"{chat}---\n{chat}"
    assert breaking({}, {"teams/nlp/chat.yaml": twice}) == ["duplicate-document teams/nlp/chat.yaml:43:3 metadata.name"]


def test_a_platforms_document_may_not_lie_in_a_namespaces_folder(breaking: Break, repository: dict[str, bytes]) -> None:
    pool = repository[POOLS].decode().split("---\n")[1]
    assert breaking({POOLS: ("name: v6e", "name: v6f")}, {"teams/nlp/pool.yaml": pool}) == [
        "platform-scope teams/nlp/pool.yaml:2:1 kind"
    ]


def test_a_document_outside_every_folder_says_its_namespace(breaking: Break, repository: dict[str, bytes]) -> None:
    digits = repository["teams/vision/digits.yaml"].decode().replace("name: digits", "name: digits2")
    assert breaking({}, {"models/digits.yaml": digits}) == [
        "namespace-unclear models/digits.yaml:3:1 metadata.namespace"
    ]
    said = digits.replace("name: digits2", "name: digits2\n  namespace: vision")
    assert breaking({}, {"models/digits.yaml": said}) == []


def test_the_longest_folder_decides(breaking: Break, repository: dict[str, bytes]) -> None:
    digits = repository["teams/vision/digits.yaml"].decode().replace("name: digits", "name: d\n  namespace: nlp")
    edits = {PLATFORM: ("[teams/nlp]", "[teams/nlp, teams/vision/shared]")}
    assert breaking(edits, {"teams/vision/shared/d.yaml": digits}) == []
    assert breaking(edits, {"teams/vision/sharedd/d.yaml": digits}) == [
        "foreign-namespace teams/vision/sharedd/d.yaml:5:3 metadata.namespace"
    ]


def test_a_platform_of_another_branch_is_refused(breaking: Break) -> None:
    assert breaking({}, branch="staging") == ["branch-mismatch platform.yaml:6:3 spec.branch"]
    assert breaking({}, branch="main") == []
    assert breaking({PLATFORM: ("  branch: main\n", "")}, branch="staging") == []


def test_what_is_placed_in_a_cluster_stays_there(breaking: Break, repository: dict[str, bytes]) -> None:
    before = load(repository).config
    assert before is not None
    moved = {POOLS: ("name: cpu-us\nspec:\n  cluster: us", "name: cpu-us\nspec:\n  cluster: eu")}
    assert breaking(moved, before=before) == ["immutable pools.yaml:38:3 spec.cluster"]
    by_default = {POOLS: ("name: cpu-us\nspec:\n  cluster: us\n", "name: cpu-us\nspec:\n")}
    assert breaking(by_default, before=before) == ["immutable pools.yaml:37:1 spec.cluster"]
    tenant = {PLATFORM: ("[careful, standard]", "[careful, standard]\n      cluster: us")}
    assert breaking(tenant, before=before) == ["immutable platform.yaml:25:7 spec.namespaces[1].cluster"]
    # Nothing is placed in the third namespace.
    assert breaking({PLATFORM: ("      cluster: us\n", "")}, before=before) == []


def test_a_faulty_platform_mutes_the_rules_of_its_namespaces(breaking: Break) -> None:
    edits = {
        PLATFORM: ("Europe/Berlin", "Europe/Berlinn"),
        "teams/nlp/chat.yaml": ("namespace: nlp", "namespace: vision"),
    }
    assert breaking(edits) == ["window-invalid platform.yaml:40:7 spec.freezeWindows[0].timeZone"]


def test_a_faulty_document_still_exists_for_those_who_name_it(breaking: Break) -> None:
    assert breaking({POOLS: ("max: 12", "max: 12000")}) == ["out-of-bounds pools.yaml:8:5 spec.nodes.max"]
    assert breaking({POLICIES: ("weight: 25", "wait: 25")}) == ["unknown-field policies.yaml:9:7 spec.steps[1].wait"]


def test_what_a_faulty_document_says_of_others_is_not_asked(breaking: Break) -> None:
    edits = {"teams/nlp/chat.yaml": ("pool: l4", "pool: l5"), "teams/nlp/chat.yaml#2": ("replicas: 4", "replicas: x")}
    assert breaking(edits) == ["wrong-type teams/nlp/chat.yaml:12:3 spec.replicas"]


@pytest.mark.parametrize("file", [PLATFORM, POOLS, POLICIES, "teams/nlp/chat.yaml"])
def test_a_file_that_cannot_be_read_is_one_fault(breaking: Break, file: str) -> None:
    (fault,) = breaking({file: ("\nmetadata:\n", "\nmetadata: [\n")})
    assert fault.startswith(f"syntax {file}:")


def test_an_unreadable_file_hides_only_what_it_may_hold(breaking: Break) -> None:
    edits = {POOLS: ("\nmetadata:\n", "\nmetadata: [\n"), "teams/nlp/chat.yaml": ("pool: l4", "pool: h200")}
    assert [fault.split(":")[0] for fault in breaking(edits)] == [
        "syntax pools.yaml",
        "unknown-reference teams/nlp/chat.yaml",
    ]


def test_defaults_of_the_platform_count_in_the_rules_of_a_policy(breaking: Break) -> None:
    defaults = {PLATFORM: ("requestTimeout: 5m", "rollout: {bake: {baselineWeight: 10}}")}
    over = {POLICIES: ("    baselineWeight: 2\n", ""), f"{POLICIES}#w": ("weight: 50", "weight: 95")}
    assert breaking({**defaults, **over}) == ["weight-over-bake policies.yaml:11:7 spec.steps[2].weight"]
    assert breaking(over) == []
