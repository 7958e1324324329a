"""`plan` and `rbac`: what is said is what Terraform makes, and what the cluster is given."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bootstrap.terraform_run import PROJECT, run_of

from pointsman_cli.bootstrap import costs
from pointsman_cli.bootstrap.checks.project import NEEDED
from pointsman_cli.bootstrap.estate import APIS, account_email, estate
from pointsman_cli.bootstrap.planning import existing
from pointsman_cli.bootstrap.prices import ALWAYS_ON, PRICES
from pointsman_cli.bootstrap.rights import rights

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "bootstrap" / "terraform"
KINDS: Mapping[str, tuple[str, str]] = {
    "function": ("google_cloudfunctions2_function", "name"),
    "workflow": ("google_workflows_workflow", "name"),
    "topic": ("google_pubsub_topic", "name"),
    "subscription": ("google_pubsub_subscription", "name"),
    "scheduler job": ("google_cloud_scheduler_job", "name"),
    "Eventarc trigger": ("google_eventarc_trigger", "name"),
    "service account": ("google_service_account", "account_id"),
    "Firestore database": ("google_firestore_database", "name"),
    "notification channel": ("google_monitoring_notification_channel", "display_name"),
    "alert policy": ("google_monitoring_alert_policy", "display_name"),
    "image repository": ("google_artifact_registry_repository", "repository_id"),
}


@pytest.mark.parametrize("kind", [*KINDS, "bucket", "backup schedule"])
def test_what_will_exist_is_what_terraform_makes(kind: str) -> None:
    run = run_of("existing-cluster")
    said = sorted(name for of, name in existing(estate(ROOT)) if of == kind)
    if kind == "backup schedule":
        assert said == sorted(item.name for item in run.of("google_firestore_backup_schedule"))
    elif kind == "bucket":
        [bucket] = run.of("google_storage_bucket")
        assert said == ["PROJECT-pointsman-LOCATION"]
        assert bucket.values["name"] == f"{PROJECT}-pointsman-us-central1"
    else:
        resource, field = KINDS[kind]
        assert said == sorted(item.values[field] for item in run.of(resource))


def test_the_apis_are_those_that_terraform_puts_on() -> None:
    text = (TERRAFORM / "services.tf").read_text()
    always = text.partition("toset(concat(")[2].partition("],")[0]
    assert list(APIS) == re.findall(r'"([a-z]+\.googleapis\.com)"', always)


def test_a_right_of_whoever_applies_names_the_role_that_has_it() -> None:
    """What stands before the first dot is the service's name in permission and role, but for three."""
    others = {"datastore": "datastore", "resourcemanager": "resourcemanager", "serviceusage": "serviceusage"}
    for permission, role in NEEDED.items():
        service = permission.partition(".")[0]
        assert role.startswith(f"roles/{others.get(service, service)}."), permission


def test_plan_says_what_each_account_may_do(bootstrap: Callable[..., Any]) -> None:
    status, out, _ = bootstrap("plan", "-o", "json")
    accounts = json.loads(out)["accounts"]
    assert status == 0
    assert accounts["pointsman-receive-webhook"] == [
        {
            "grant": "roles/pubsub.publisher",
            "on": ["topic repo-pushed", "topic model-registered", "topic alert-fired"],
            "for": ["publish:repo-pushed", "publish:model-registered", "publish:alert-fired"],
        },
        {
            "grant": "roles/secretmanager.secretAccessor",
            "on": ["secrets of webhooks"],
            "for": ["roles/secretmanager.secretAccessor"],
        },
    ]
    assert [grant["on"] for grant in accounts["pointsman-eventarc"]] == [["function on_model_registered"]]
    assert set(accounts) == {name for kind, name in existing(estate(ROOT)) if kind == "service account"}


@pytest.mark.parametrize(
    ("pools", "expected"),
    [("observe", False), ("resize", True), ("full", True)],
)
def test_only_who_may_change_pools_may_change_a_cluster(
    pools: str, expected: bool, bootstrap: Callable[..., Any]
) -> None:
    accounts = json.loads(bootstrap("plan", "-o", "json", "--pools", pools)[1])["accounts"]
    may = {name for name, grants in accounts.items() if any("clusters.update" in item["grant"] for item in grants)}
    assert may == ({"pointsman-pool-step"} if expected else set())


def test_no_grant_is_wide() -> None:
    known = rights(ROOT)
    for _, may in estate(ROOT).holders:
        for grant in known.grants(may, ["webhooks"], estate(ROOT).topics, "full"):
            assert "*" not in grant.what
            assert not re.search(r"roles/(owner|editor|viewer)\b|[aA]dmin", grant.what)


def test_plan_adds_up(bootstrap: Callable[..., Any]) -> None:
    bill = json.loads(bootstrap("plan", "-o", "json")[1])["costs"]
    for part in ("rollout", "idle_month"):
        assert bill[part]["list"] == pytest.approx(sum(line["usd"] for line in bill[part]["lines"]), abs=1e-4)
    assert {line["source"] for line in bill["rollout"]["lines"]} <= {price.source for price in PRICES.values()}
    assert bill["rollout"]["ticks"] == 160


@pytest.mark.parametrize(
    ("price", "units", "usd", "after_free"),
    [
        pytest.param("steps", 5_000, 0.05, 0.0, id="all-free"),
        pytest.param("steps", 105_000, 1.05, 1.0, id="a-part-free"),
        pytest.param("cpu", 1_180_000, 28.32, 24.0, id="vcpu-seconds"),
        pytest.param("messages", 2**40 / 1000, 40.0, 39.6362, id="a-tebibyte-of-small-messages"),
        pytest.param("jobs", 1, 0.1, 0.0, id="one-job"),
    ],
)
def test_a_price_is_of_its_units(price: str, units: float, usd: float, after_free: float) -> None:
    assert PRICES[price].of(units) == pytest.approx(usd)
    assert PRICES[price].of(units, free=True) == pytest.approx(after_free, rel=1e-4)


def test_at_the_break_even_both_cost_the_same() -> None:
    topology = estate(ROOT)
    for what, rollouts in costs.break_even(topology).items():
        serverless = costs.total(costs.idle(topology)) + rollouts * costs.total(costs.rollout())
        assert serverless == pytest.approx(ALWAYS_ON[what], abs=costs.total(costs.rollout()))


def test_plan_tells_people_all_three_things(bootstrap: Callable[..., Any]) -> None:
    status, out, _ = bootstrap("plan")
    assert status == 0
    for heading in ("WHAT WILL EXIST", "WHAT EACH ACCOUNT MAY DO (node pools: observe)", "WHAT IT COSTS (USD"):
        assert f"\n{heading}" in f"\n{out}"


# --- rbac --------------------------------------------------------------------------------------------------------


def test_rbac_of_the_platform_is_a_role_and_a_binding_for_each_namespace(bootstrap: Callable[..., Any]) -> None:
    status, out, _ = bootstrap("rbac", "--config", ROOT / "examples" / "platform", "--project", "acme-ml")
    items = list(yaml.safe_load_all(out))
    platform = yaml.safe_load((ROOT / "examples" / "platform" / "platform.yaml").read_text())["spec"]
    namespaces = sorted(item["name"] for item in platform["namespaces"])
    assert status == 0
    assert [(item["kind"], item["metadata"]["namespace"]) for item in items] == [
        *((kind, namespace) for namespace in namespaces for kind in ("Role", "RoleBinding")),
        ("Role", platform["gateway"]["namespace"]),
        ("RoleBinding", platform["gateway"]["namespace"]),
    ]
    assert {item["subjects"][0]["name"] for item in items if item["kind"] == "RoleBinding"} == {
        account_email("rollout_step", "acme-ml")
    }
    for role, binding in zip(items[::2], items[1::2], strict=True):
        assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_rbac_grants_no_wildcard_no_secret_and_one_gateway(bootstrap: Callable[..., Any]) -> None:
    _, out, _ = bootstrap("rbac", "-n", "nlp", "--gateway", "gateway/models", "--project", "acme-ml", "-o", "json")
    roles = [item for item in json.loads(out)["items"] if item["kind"] == "Role"]
    rules = [rule for role in roles for rule in role["rules"]]
    assert not [rule for rule in rules if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])]
    assert not {"secrets", "roles", "serviceaccounts", "pods/exec"} & {
        name for rule in rules for name in rule["resources"]
    }
    assert roles[-1]["rules"] == [
        {
            "apiGroups": ["gateway.networking.k8s.io"],
            "resources": ["gateways"],
            "verbs": ["get"],
            "resourceNames": ["models"],
        }
    ]


def test_rbac_says_what_to_give_where_there_is_no_platform(bootstrap: Callable[..., Any], tmp_path: Path) -> None:
    status, _, err = bootstrap("rbac", "--config", tmp_path, "--project", "acme-ml")
    assert status == 1
    assert "or -n NAMESPACE and --gateway NAMESPACE/NAME" in err


@pytest.mark.parametrize("gateway", ["models", "/models", "gateway/"])
def test_a_gateway_is_said_with_its_namespace(gateway: str, bootstrap: Callable[..., Any]) -> None:
    assert bootstrap("rbac", "-n", "nlp", "--gateway", gateway, "--project", "acme-ml")[0] == 2


def test_an_installed_command_plans_without_a_checkout(tmp_path: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    for here, there in wheel["force-include"].items():
        (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / here).is_dir() else shutil.copy
        copy(ROOT / here, tmp_path / there)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "GOOGLE_CLOUD_PROJECT": "acme-ml"}
    commands = (["plan", "-o", "json"], ["apply", "--location", "us-central1", "--cluster", "serving", "--yes"])
    planned, applied = (
        subprocess.run(
            [sys.executable, "-m", "pointsman_cli", "bootstrap", *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        for words in commands
    )
    assert planned.returncode == 0, planned.stderr
    assert len(json.loads(planned.stdout)["accounts"]) == len(estate(ROOT).everybody)
    assert applied.returncode == 1
    if shutil.which("terraform"):
        assert "run it from a checkout of pointsman, or name your own with --dir" in applied.stderr
