"""What `terraform apply` makes of the examples: the same graph as the local cloud, and nothing that nobody needs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bootstrap.graph import Graph, of_local, of_terraform
from tests.bootstrap.terraform_run import PROJECT, Item, Run, run_of
from tools.terraform_standin.terraform import EXAMPLES

from pointsman.adapters.endpoints import read
from pointsman_local.topology import load

pytestmark = pytest.mark.timeout(300)  # Terraform on a busy machine

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY: dict[str, Any] = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
TABLE: dict[str, Any] = yaml.safe_load((ROOT / "bootstrap" / "permissions.yaml").read_text())
HOLDERS: Mapping[str, Any] = {**TOPOLOGY["functions"], **TOPOLOGY["workflows"]}
OPERATORS = "group:ml-platform@example.com"
AGENT = re.compile(r"serviceAccount:service-\d+@gcp-sa-([a-z-]+)\.iam\.gserviceaccount\.com")
BINDINGS = re.compile(r"google_\w+_iam_(member|binding|policy|audit_config)")


@pytest.fixture(params=EXAMPLES, scope="module")
def run(request: pytest.FixtureRequest) -> Run:
    return run_of(request.param)


def ours(item: Item) -> bool:
    """Not what the cluster's nodes are given, which the platform's own module does."""
    return (item.kind, item.name) != ("google_project_iam_member", "nodes")


def test_it_is_valid_and_a_second_plan_changes_nothing(run: Run) -> None:
    assert list(run.faults) == []
    assert run.settled


def test_destroy_leaves_nothing(run: Run) -> None:
    assert list(run.left) == []


def test_terraform_and_the_local_cloud_realise_the_same_graph(run: Run, tmp_path: Path) -> None:
    local, cloud = of_local(load(ROOT), tmp_path), of_terraform(run, OPERATORS)
    audited = {name for name, function in TOPOLOGY["functions"].items() if "audit" in function}
    eventarc = f"pointsman-eventarc@{PROJECT}.iam.gserviceaccount.com"
    for name in Graph.__slots__:
        expected = getattr(local, name)
        if name == "callers":  # there is no audit log on a laptop
            expected = {of: found | {eventarc} if of in audited else found for of, found in expected.items()}
        assert getattr(cloud, name) == expected, name


def test_every_topic_has_a_dead_letter_that_somebody_reads_and_the_agent_may_fill(run: Run) -> None:
    for topic in TOPOLOGY["topics"]:
        subscription = run.one("google_pubsub_subscription", "push", topic)
        publishers = run.one("google_pubsub_topic_iam_member", "dead", topic)
        consumers = run.one("google_pubsub_subscription_iam_member", "dead", topic)
        readers = run.one("google_pubsub_subscription_iam_member", "redriver", f"sweep/{topic}")
        assert (publishers["topic"], publishers["role"]) == (f"{topic}-dead", "roles/pubsub.publisher")
        assert (consumers["subscription"], consumers["role"]) == (subscription["name"], "roles/pubsub.subscriber")
        assert AGENT.fullmatch(publishers["member"])
        assert publishers["member"] == consumers["member"]
        assert readers["subscription"] == f"{topic}-dead"
        assert run.one("google_pubsub_subscription", "dead", topic)["expiration_policy"] == [{"ttl": ""}]


def test_nothing_is_public_but_the_receiver(run: Run) -> None:
    public = [item for item in run.made if {"allUsers", "allAuthenticatedUsers"} & {*map(str, item.values.values())}]
    assert [(item.kind, item.key) for item in public] == [
        ("google_cloud_run_service_iam_member", "receive_webhook/everyone")
    ]
    [bucket] = run.of("google_storage_bucket")
    assert bucket.values["public_access_prevention"] == "enforced"
    assert bucket.values["uniform_bucket_level_access"] is True


def test_every_identity_is_an_account_of_its_own_without_a_key(run: Run) -> None:
    emails = {item.key: item.values["email"] for item in run.of("google_service_account", "account")}
    carriers = set(TOPOLOGY["carriers"].values())
    assert set(emails) == set(HOLDERS) | carriers | {"build"}
    assert all(6 <= len(email.partition("@")[0]) <= 30 for email in emails.values())
    assert run.of("google_service_account_key") == []
    for item in run.of("google_cloudfunctions2_function"):
        assert item.values["service_config"][0]["service_account_email"] == emails[item.key]
        assert item.values["build_config"][0]["service_account"].endswith(emails["build"])
        assert item.values["build_config"][0]["entry_point"] == item.key
    for item in run.of("google_workflows_workflow"):
        assert item.values["service_account"].endswith(emails[item.key])
        assert item.values["deletion_protection"] is False


# --- rights ---------------------------------------------------------------------------------------------------


def test_only_members_are_added_and_no_role_is_primitive_or_a_wildcard(run: Run) -> None:
    for item in run.made:
        kind = BINDINGS.fullmatch(item.kind)
        if kind is not None:
            assert kind[1] == "member", item.kind
            assert not re.search(r"roles/(owner|editor|viewer|browser)$|\*|[aA]dmin$", item.values["role"]), item.key
    for item in run.of("google_project_iam_custom_role"):
        assert all(re.fullmatch(r"[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+", name) for name in item.values["permissions"])


def test_every_role_binding_is_justified_in_the_table(run: Run) -> None:
    made = {binding for item in run.made if BINDINGS.fullmatch(item.kind) and ours(item) for binding in [_bound(item)]}
    assert made == set(_justified(run))


def _bound(item: Item) -> tuple[str, str, str]:
    """Who has which role (a right, where it is a role of our own) on what."""
    values = item.values
    member = AGENT.fullmatch(values["member"])
    email = re.fullmatch(r"serviceAccount:pointsman-([a-z-]+)@.*", values["member"])
    who = f"agent {member[1]}" if member else email[1] if email else values["member"]
    own = re.fullmatch(r"projects/[^/]+/roles/pointsman(\w+)", values["role"])
    target = next(
        str(values[name]) for name in ("topic", "subscription", "secret_id", "service", "project") if values.get(name)
    )
    if item.kind == "google_service_account_iam_member":
        target = values["service_account_id"].rpartition("/")[2]
    return who, own[1].lower() if own else values["role"], target.rpartition("/")[2]


def _justified(run: Run) -> list[tuple[str, str, str]]:
    """The same, from topology and table alone."""
    found: list[tuple[str, str, str]] = []
    rights, agents, carriers = TABLE["rights"], TABLE["agents"], TOPOLOGY["carriers"]
    traced = any("POINTSMAN_TRACES" in variables(item) for item in run.of("google_cloudfunctions2_function"))
    secrets = {item.key for item in run.of("google_secret_manager_secret_iam_member")}
    for name, holder in HOLDERS.items():
        who = name.replace("_", "-")
        told = traced and name in TOPOLOGY["functions"] and "env" not in holder
        for word in [*holder["may"], *(["trace"] if told else [])]:
            right, _, of = word.partition(":")
            if right == "publish":
                found.append((who, rights[right]["role"], of))
            elif right == "dead-letters":
                found += [(who, "deadletters", f"{topic}-dead") for topic in TOPOLOGY["topics"]]
            elif rights[right]["scope"] in ("project", "database"):
                found.append((who, right.replace("_", ""), PROJECT))
        found += [
            (who, rights["secret"]["role"], key.partition("/")[2]) for key in secrets if key.startswith(f"{name}/")
        ]
    for name, function in TOPOLOGY["functions"].items():
        service, role = f"pointsman-{name.replace('_', '-')}", rights["invoke"]["role"]
        by = [carriers[way] for way in ("topic", "schedule", "audit") if way in function]
        by += [OPERATORS if of == "operators" else of.replace("_", "-") for of in function.get("invokers", ())]
        found += [(who, role, service) for who in [*by, *(["allUsers"] if function.get("public") else [])]]
    [dead, source], [incidents] = agents["pubsub"]["roles"], agents["monitoring"]["roles"]
    for topic, item in TOPOLOGY["topics"].items():
        found += [("agent pubsub", dead, f"{topic}-dead")]
        found += [("agent pubsub", source, name) for name in _subscriptions(topic)]
        found += [("agent monitoring-notification", incidents, topic)] if "publishers" in item else []
    found.append((carriers["audit"], agents["eventarc"]["roles"][0], PROJECT))
    found.append(("build", agents["build"]["roles"][0], PROJECT))
    return found


def _subscriptions(topic: str) -> list[str]:
    return [
        f"{topic}-{name.replace('_', '-')}"
        for name, item in TOPOLOGY["functions"].items()
        if item.get("topic") == topic
    ]


def test_a_role_of_our_own_holds_what_the_table_says(run: Run) -> None:
    pools = {
        variables(item)["POINTSMAN_POOLS"]
        for item in run.of("google_cloudfunctions2_function")
        if item.key == "pool_step"
    }
    for item in run.of("google_project_iam_custom_role"):
        right = TABLE["rights"][item.key]
        more = [name for mode in pools for name in right.get(mode, ())]
        assert sorted(item.values["permissions"]) == sorted([*right["permissions"], *more]), item.key


def test_the_ledger_is_the_only_database_that_is_reached(run: Run) -> None:
    for item in run.of("google_project_iam_member", "right"):
        if item.key.endswith("/ledger"):
            [condition] = item.values["condition"]
            assert condition["expression"] == f'resource.name == "projects/{PROJECT}/databases/pointsman"'
        else:
            assert item.values["condition"] == []


def test_a_secret_is_read_by_whom_the_topology_names_and_its_value_is_in_no_state(run: Run) -> None:
    readers: dict[str, set[str]] = {}
    for item in run.of("google_secret_manager_secret_iam_member"):
        name, _, secret = item.key.partition("/")
        readers.setdefault(secret, set()).add(name)
    having = {
        kind: {name for name, item in TOPOLOGY["functions"].items() if kind in item.get("secrets", ())}
        for kind in ("webhooks", "repository", "registries", "channels")
    }
    assert readers["pointsman-webhooks"] == having["webhooks"]
    assert readers["pointsman-repository"] == having["repository"]
    assert readers["pointsman-slack"] == having["channels"]
    assert run.of("google_secret_manager_secret_version") == []


# --- functions, workflows, ledger -----------------------------------------------------------------------------


def variables(item: Item) -> Mapping[str, str]:
    found: Mapping[str, str] = item.values["service_config"][0]["environment_variables"]
    return found


def test_a_function_is_told_what_it_asks_for_and_only_what_the_code_reads(run: Run) -> None:
    known = set(_asked())
    for item in run.of("google_cloudfunctions2_function"):
        told = variables(item)
        assert set(told) <= known, item.key
        settings = read(told)
        assert settings.project == PROJECT
        if "env" in TOPOLOGY["functions"][item.key]:
            assert set(TOPOLOGY["functions"][item.key]["env"]) <= set(told) <= known
        else:
            assert settings.ledger == f"firestore:{TOPOLOGY['ledger']['database']}"
            assert settings.repository
            assert settings.cluster == "serving"
        asks = [name for name, other in TOPOLOGY["functions"].items() if item.key in other.get("invokers", ())]
        assert sorted(settings.step_urls) == sorted(asks)


def _asked() -> list[str]:
    from pointsman_cli.reference_settings import variables as names

    return list(names())


def test_the_receivers_secrets_are_files_so_that_a_new_version_needs_no_deployment(run: Run) -> None:
    for item in run.of("google_cloudfunctions2_function"):
        [config] = item.values["service_config"]
        assert config["secret_environment_variables"] in ([], None)
        if "webhooks" in TOPOLOGY["functions"][item.key].get("secrets", ()):
            [volume] = config["secret_volumes"]
            [version] = volume["versions"]
            assert f"{volume['mount_path']}/{version['path']}" == variables(item)["POINTSMAN_WEBHOOK_SECRETS"]
            assert (volume["secret"], version["version"]) == ("pointsman-webhooks", "latest")
        else:
            assert config["secret_volumes"] in ([], None)


def test_a_function_that_takes_several_requests_at_once_has_a_processor(run: Run) -> None:
    """Cloud Run functions: "To set concurrency greater than 1, allocate at least 1 vCPU"."""
    for item in run.of("google_cloudfunctions2_function"):
        [config] = item.values["service_config"]
        if config["max_instance_request_concurrency"] > 1:
            assert float(config["available_cpu"]) >= 1, item.key
        assert config["min_instance_count"] == 0
        assert 1 <= config["max_instance_count"] <= 20


def test_one_archive_is_deployed_whose_name_is_its_digest(run: Run) -> None:
    objects = {
        item.values["build_config"][0]["source"][0]["storage_source"][0]["object"]
        for item in run.of("google_cloudfunctions2_function")
    }
    [archive] = run.of("google_storage_bucket_object")
    assert objects == {archive.values["name"]}
    assert re.fullmatch(r"functions-[0-9a-f]{64}\.zip", archive.values["name"])


def test_a_workflow_is_its_file_of_this_repository(run: Run) -> None:
    for item in run.of("google_workflows_workflow"):
        assert item.values["source_contents"] == (ROOT / "workflows" / f"{item.key}.yaml").read_text()
        assert item.values["call_log_level"] == "LOG_ERRORS_ONLY"


def test_every_method_of_the_audit_log_has_its_trigger(run: Run) -> None:
    triggered = {}
    for item in run.of("google_eventarc_trigger"):
        criteria = {one["attribute"]: one["value"] for one in item.values["matching_criteria"]}
        assert criteria["type"] == "google.cloud.audit.log.v1.written"
        [destination] = item.values["destination"]
        triggered[criteria["methodName"]] = destination["cloud_run_service"][0]["service"]
        assert len(item.values["name"]) <= 63
    methods = TOPOLOGY["functions"]["on_model_registered"]["audit"]["methods"]
    assert triggered == dict.fromkeys(methods, "pointsman-on-model-registered")


def test_every_search_of_the_ledger_has_an_index_and_records_have_none(run: Run) -> None:
    indexes = {
        (item.values["collection"], tuple((field["field_path"], field["order"]) for field in item.values["fields"]))
        for item in run.of("google_firestore_index")
    }
    collections = TOPOLOGY["ledger"]["collections"]
    assert indexes == {
        (name, ((field, "ASCENDING"), ("written_at", "DESCENDING")))
        for name, item in collections.items()
        for field in item["indexed"]
    }
    fields = {(item.values["collection"], item.values["field"]) for item in run.of("google_firestore_field", "record")}
    assert fields == {(name, "record") for name in collections}
    [expiry] = run.of("google_firestore_field", "expiry")
    assert (expiry.values["collection"], expiry.values["field"]) == ("events", "expires_at")
    assert len(expiry.values["ttl_config"]) == 1


def test_the_ledger_is_recoverable_and_outlives_a_destroy(run: Run) -> None:
    [database] = run.of("google_firestore_database")
    assert database.values["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert (database.values["delete_protection_state"], database.values["deletion_policy"]) == (
        "DELETE_PROTECTION_ENABLED",
        "ABANDON",
    )
    kept = {item.name: item.values["retention"] for item in run.of("google_firestore_backup_schedule")}
    assert kept == {"daily": "604800s", "weekly": "8467200s"}


def test_incidents_reach_the_topic_of_on_alert(run: Run) -> None:
    [channel] = run.of("google_monitoring_notification_channel")
    [topic] = [name for name, item in TOPOLOGY["topics"].items() if "monitoring" in item.get("publishers", ())]
    assert topic == TOPOLOGY["functions"]["on_alert"]["topic"]
    assert channel.values["labels"] == {"topic": f"projects/{PROJECT}/topics/{topic}"}


# --- the reference platform ------------------------------------------------------------------------------------


def test_accelerators_are_had_in_four_ways() -> None:
    pools = {item.key: item.values for item in run_of("new-cluster").of("google_container_node_pool", "pool")}
    configs = {name: values["node_config"][0] for name, values in pools.items()}
    affinity = {name: config["reservation_affinity"][0] for name, config in configs.items()}
    assert {name: config["spot"] for name, config in configs.items()} == {
        "h100-reserved": False,
        "l4": False,
        "v6e-flex": False,
        "l4-spot": True,
    }
    assert {name: config["flex_start"] for name, config in configs.items() if config["flex_start"]} == {
        "v6e-flex": True
    }
    assert configs["v6e-flex"]["max_run_duration"] == "259200s"
    assert pools["v6e-flex"]["placement_policy"][0]["tpu_topology"] == "2x2"
    assert affinity["h100-reserved"]["values"] == ["models"]
    assert affinity["h100-reserved"]["consume_reservation_type"] == "SPECIFIC_RESERVATION"
    assert {affinity[name]["consume_reservation_type"] for name in ("l4", "v6e-flex", "l4-spot")} == {"NO_RESERVATION"}
    assert {config["labels"]["pointsman.dev/pool"] for config in configs.values()} == {"h100", "l4", "v6e"}


def test_a_new_cluster_is_private_and_has_what_pointsman_needs() -> None:
    [cluster] = run_of("new-cluster").of("google_container_cluster")
    [private] = cluster.values["private_cluster_config"]
    [endpoints] = cluster.values["control_plane_endpoints_config"]
    assert private["enable_private_nodes"] is True
    assert endpoints["dns_endpoint_config"][0]["allow_external_traffic"] is True
    assert endpoints["ip_endpoints_config"][0]["enabled"] is False
    assert cluster.values["gateway_api_config"][0]["channel"] == "CHANNEL_STANDARD"
    assert cluster.values["monitoring_config"][0]["managed_prometheus"][0]["enabled"] is True
    assert cluster.values["workload_identity_config"][0]["workload_pool"] == f"{PROJECT}.svc.id.goog"


def test_no_token_key_or_password_is_in_the_state(run: Run) -> None:
    text = json.dumps([item.values for item in run.made if item.kind != "google_workflows_workflow"])
    assert not re.search(r"-----BEGIN|ghp_|AIza", text)
