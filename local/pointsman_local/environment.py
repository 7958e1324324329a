"""The environment of a local cloud: what its functions get, and what `pointsman local env` prints."""

import getpass
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pointsman_local.identity import Identity
from pointsman_local.site import Site

__all__ = ["OPERATOR_HOURS", "REPOSITORY_PATH", "for_functions", "for_people"]

REPOSITORY_PATH = "local/config.git"
OPERATOR_HOURS = 12


def for_functions(site: Site) -> dict[str, str]:
    """What every function finds in its environment: where the services are."""
    return {
        "GOOGLE_CLOUD_PROJECT": site.project,
        "POINTSMAN_LOCATION": site.location,
        "POINTSMAN_CLUSTER": site.cluster,
        "POINTSMAN_LEDGER": f"sqlite://{site.folder('ledger') / 'ledger.db'}",
        "PUBSUB_EMULATOR_HOST": site.address("pubsub"),
        "POINTSMAN_WORKFLOWS_ENDPOINT": site.address("workflows"),
        "POINTSMAN_WORKFLOWEXECUTIONS_ENDPOINT": site.address("workflows"),
        "POINTSMAN_CONTAINER_ENDPOINT": site.address("container"),
        "POINTSMAN_MONITORING_ENDPOINT": site.address("monitoring"),
        "POINTSMAN_SECRETMANAGER_ENDPOINT": site.address("secretmanager"),
        "POINTSMAN_CALLBACK_ORIGIN": site.url("workflows-rest"),
        "POINTSMAN_REPOSITORY": f"{site.url('git')}/{REPOSITORY_PATH}",
        "POINTSMAN_BRANCH": "main",
        "POINTSMAN_POOLS": "full",
        "POINTSMAN_WEBHOOK_SECRETS": str(site.data / "run" / "webhook_secrets.json"),
        "KUBECONFIG": str(site.data / "run" / "kubeconfig"),
        "ROLLOUT_STEP_URL": site.url("functions/rollout_step"),
        "POOL_STEP_URL": site.url("functions/pool_step"),
    }


def for_people(site: Site, now: float) -> Mapping[str, str]:
    """All that a person's shell needs to speak to this cloud with unmodified tools."""
    command = site.url("functions/command")
    prometheus = f"/v1/projects/{site.project}/location/global/prometheus"
    operator = f"{getpass.getuser()}@localhost"
    token = Identity(site.data).token(operator, command, now, lifetime_s=OPERATOR_HOURS * 3600)
    return {
        **for_functions(site),
        "POINTSMAN_COMMAND_URL": command,
        "POINTSMAN_IDENTITY_TOKEN": token,
        "POINTSMAN_WEBHOOK_URL": site.url("functions/receive_webhook"),
        "POINTSMAN_GIT_URL": f"{site.url('git')}/{REPOSITORY_PATH}",
        "POINTSMAN_GATEWAY_URL": site.url("gateway"),
        "POINTSMAN_MLFLOW_URL": site.url("mlflow"),
        "POINTSMAN_PROMETHEUS_URL": f"{site.url('monitoring-rest')}{prometheus}",
        "CLOUDSDK_CONFIG": str(site.folder("gcloud")),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": site.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        **{
            f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}": f"{site.url(endpoint)}/"
            for service, endpoint in (
                ("PUBSUB", "pubsub-rest"),
                ("CONTAINER", "container-rest"),
                ("WORKFLOWS", "workflows-rest"),
                ("WORKFLOWEXECUTIONS", "workflows-rest"),
            )
        },
    }


def kubeconfig(site: Site) -> str:
    """A kubeconfig for the local Kubernetes API: plain HTTP on loopback, no user."""
    name = site.cluster
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": site.url("kubernetes")}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [{"name": name, "user": {}}],
        },
        indent=1,
    )


def interpreter() -> Path:
    """The Python that runs this: its folder is first in a pod's PATH."""
    return Path(sys.executable)
