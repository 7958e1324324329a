"""One Kubernetes cluster through the official client's `ApiClient`: plain objects, no typed API and no models.

Its address is that of `KUBECONFIG` where that is set, and otherwise the DNS endpoint of the GKE cluster, which needs no
certificate file and no way into a VPC, with the function's own credentials ("Access the control plane using the
DNS-based endpoint" in GKE's documentation). Where that endpoint may not be on, a fleet's Connect gateway leads there
("Connect to registered clusters with the Connect gateway").
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import urllib3

from pointsman.adapters import endpoints
from pointsman.adapters.endpoints import Settings
from pointsman.core.names import JSON, Ref
from pointsman.errors import Absent, Conflict, Denied, Invalid, PointsmanError, Unavailable

__all__ = ["KubernetesCluster", "connect", "through_gateway"]

MANAGER = "pointsman"
DEADLINE_S = 10.0
SCOPE = "https://www.googleapis.com/auth/cloud-platform"

# Kind → its name in paths. Discovery would be a call more, for kinds that are known.
_PLURALS: Mapping[str, str] = {
    "Deployment": "deployments",
    "Event": "events",
    "GCPBackendPolicy": "gcpbackendpolicies",
    "Gateway": "gateways",
    "HTTPRoute": "httproutes",
    "HealthCheckPolicy": "healthcheckpolicies",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Namespace": "namespaces",
    "Node": "nodes",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PodMonitoring": "podmonitorings",
    "ReplicaSet": "replicasets",
    "Service": "services",
}


def connect(settings: Settings, cluster: str) -> "KubernetesCluster":
    """The cluster of that name in the project and location of `settings`, or `projects/P/locations/L/clusters/C`.

    With a kubeconfig its current context is taken, whatever the name. Keep what this gives: on GKE it costs a call.
    Raises Absent, Denied, Invalid or Unavailable.
    """
    if settings.kubeconfig:
        return KubernetesCluster(_from_kubeconfig(settings.kubeconfig))
    gateway = settings.connect_gateway
    host = (
        through_gateway(gateway, _named(settings, cluster))
        if gateway
        else f"https://{_dns_endpoint(settings, cluster)}"
    )
    return KubernetesCluster(_with_credentials(host, _google_credentials()))


class KubernetesCluster:
    """`ports.Cluster`. Every call has a deadline of 10 s and is made once."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def get(self, ref: Ref) -> JSON | None:
        status, body = self._send("GET", _path(ref))
        return None if status == 404 else _checked(status, body, str(ref))

    def find(self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]) -> Sequence[JSON]:
        """Objects with all these labels; of all namespaces where `namespace` is empty."""
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        query = [("labelSelector", selector)] if selector else []
        status, body = self._send("GET", _collection(api_version, kind, namespace), query=query)
        found = _checked(status, body, f"{kind} in {namespace or 'all namespaces'}")
        # A list does not repeat in each item what it says of all.
        return [{"apiVersion": api_version, "kind": kind, **item} for item in cast("Sequence[JSON]", found["items"])]

    def apply(self, obj: JSON, *, force: bool = False) -> JSON:
        metadata = cast("JSON", obj["metadata"])
        ref = Ref(str(obj["apiVersion"]), str(obj["kind"]), str(metadata.get("namespace", "")), str(metadata["name"]))
        query = [("fieldManager", MANAGER), ("force", "true" if force else "false")]
        status, body = self._send(
            "PATCH", _path(ref), body=obj, content_type="application/apply-patch+yaml", query=query
        )
        return _checked(status, body, str(ref))

    def delete(self, ref: Ref, *, resource_version: str | None = None) -> None:
        options: dict[str, object] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if resource_version is not None:
            options["preconditions"] = {"resourceVersion": resource_version}
        status, body = self._send("DELETE", _path(ref), body=options)
        if status != 404:
            _checked(status, body, str(ref))

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: JSON | None = None,
        content_type: str = "application/json",
        query: Sequence[tuple[str, str]] = (),
    ) -> tuple[int, bytes]:
        """Status and body of one call. Raises Unavailable when there is no answer."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        plain = None if body is None else json.loads(json.dumps(body))
        request = self._api.param_serialize(
            method, path, query_params=list(query), body=plain, auth_settings=["BearerToken"], header_params=headers
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=DEADLINE_S)  # never raises on a status
            answer.read()
        except urllib3.exceptions.HTTPError as error:
            what = f"the Kubernetes API did not answer: {type(error).__name__}"
            raise Unavailable(what, where=self._api.configuration.host) from error
        return answer.status, answer.data or b""


def _path(ref: Ref) -> str:
    return f"{_collection(ref.api_version, ref.kind, ref.namespace)}/{ref.name}"


def _collection(api_version: str, kind: str, namespace: str) -> str:
    if kind not in _PLURALS:
        raise Invalid(f"{kind} is no kind that pointsman writes or reads", where=api_version)
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{_PLURALS[kind]}" if namespace else f"{root}/{_PLURALS[kind]}"


def _checked(status: int, body: bytes, where: str) -> JSON:
    """The object that was answered, or the error that a status stands for."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if 200 <= status < 300 and isinstance(answer, dict):
        return answer
    said = answer.get("message") if isinstance(answer, dict) else None
    raise _error(status, str(said or f"the Kubernetes API answered {status}"), where)


def _error(status: int, what: str, where: str) -> PointsmanError:
    match status:
        case 401 | 403:
            return Denied(what, where=where, remedy="grant pointsman's role in the cluster and namespace")
        case 404:
            return Absent(what, where=where)
        case 409:
            return Conflict(what, where=where)
        case 400 | 405 | 406 | 413 | 415 | 422 | 501:
            return Invalid(what, where=where)
    return Unavailable(what, where=where)


def _from_kubeconfig(path: str) -> Any:
    import yaml
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException, load_kube_config

    configuration = Configuration()
    try:
        load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise Invalid(f"no cluster can be read from it: {error}", where=f"KUBECONFIG {path}") from error
    configuration.retries = False
    return ApiClient(configuration)


def _with_credentials(host: str, credentials: Any) -> Any:
    """A client that sends a Google access token, refreshed before it expires."""
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport import urllib3 as transport
    from kubernetes.client import ApiClient, Configuration

    refreshing = cast("Any", transport).Request(urllib3.PoolManager(timeout=urllib3.Timeout(total=DEADLINE_S)))

    def fresh(configuration: Any) -> None:
        try:
            if not credentials.valid:
                credentials.refresh(refreshing)
        except TransportError as error:
            raise Unavailable("no access token could be had", where=host) from error
        except GoogleAuthError as error:
            raise Denied("no access token could be had", where=host, remedy="check the service account") from error
        configuration.api_key["BearerToken"] = credentials.token

    configuration = Configuration()
    configuration.host = host
    configuration.retries = False
    configuration.api_key = {"BearerToken": ""}
    configuration.api_key_prefix = {"BearerToken": "Bearer"}
    configuration.refresh_api_key_hook = fresh
    return ApiClient(configuration)


def _google_credentials() -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default(scopes=[SCOPE])[0]
    except DefaultCredentialsError as error:
        raise Denied("there are no Google credentials", remedy="gcloud auth application-default login") from error


def _named(settings: Settings, cluster: str) -> str:
    if cluster.startswith("projects/"):
        return cluster
    return f"projects/{settings.project}/locations/{settings.location}/clusters/{cluster}"


def through_gateway(fleet: str, cluster: str) -> str:
    """The Kubernetes API of `projects/P/locations/L/clusters/C`, as a fleet's Connect gateway has it."""
    _, _, _, own, _, name = cluster.split("/")
    number, location = fleet.split("/")[1], fleet.partition("/locations/")[2] or own
    host = "connectgateway.googleapis.com" if location == "global" else f"{location}-connectgateway.googleapis.com"
    return f"https://{host}/v1/projects/{number}/locations/{location}/gkeMemberships/{name}"


def _dns_endpoint(settings: Settings, cluster: str) -> str:
    from google.api_core import exceptions
    from google.cloud.container_v1 import ClusterManagerClient

    name = _named(settings, cluster)
    client = endpoints.client(ClusterManagerClient, settings, "container")
    try:
        found = client.get_cluster(name=name, timeout=DEADLINE_S)
    except exceptions.NotFound as error:
        raise Absent("there is no such cluster", where=name, remedy="see Platform.spec.clusters") from error
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise Denied(str(error.message), where=name, remedy="grant roles/container.clusterViewer") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
        raise Unavailable(str(error), where=name) from error
    endpoint = found.control_plane_endpoints_config.dns_endpoint_config.endpoint
    if not endpoint:
        remedy = "gcloud container clusters update NAME --enable-dns-access"
        raise Invalid("the cluster has no DNS endpoint", where=name, remedy=remedy)
    return str(endpoint)
