"""Where the world is: the environment, read once, in the one module that knows its names.

Google's services have an address unless the environment names another, and another is taken on the
loopback interface only: a stray variable must not send a production ledger to somebody's machine.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

from pointsman.errors import Invalid

__all__ = ["Settings", "client", "loopback", "read"]

EXECUTIONS_ORIGIN = "https://workflowexecutions.googleapis.com"
METADATA_HOST = "metadata.google.internal"

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment's settings. Endpoints are gRPC `host:port` on loopback, or absent: the service itself."""

    project: str
    """Google Cloud project that pointsman runs in."""
    location: str
    """Region of its workflows and functions."""
    cluster: str
    """Name of the default GKE cluster."""
    ledger: str = "firestore:(default)"
    """`sqlite:///ABSOLUTE/PATH` or `firestore:DATABASE`."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service (`workflows`, `workflowexecutions`, `container`, `monitoring`, `secretmanager`) → `host:port`."""
    callback_origin: str = EXECUTIONS_ORIGIN
    """Origin of the callback URLs that may be rung."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty: the cluster's DNS endpoint with the function's own credentials."""
    repository: str = ""
    """Clone URL of the config repository."""
    branch: str = "main"
    """Branch that is followed."""
    repository_token: str = ""
    """Secret that holds the repository's token; empty: none is needed."""
    pools: Literal["observe", "resize", "full"] = "observe"
    """What may be done to node pools."""
    webhook_secrets: str = ""
    """JSON `{"github": ["new", "old"], …}`, or the path of a file with it."""
    step_urls: Mapping[str, str] = field(default_factory=dict)
    """Function → URL, where one function asks another (`sweep` inspects)."""
    metadata_host: str = METADATA_HOST
    """Metadata server, which gives a function its own identity token."""
    connect_gateway: str = ""
    """Fleet whose Connect gateway leads to the clusters, `projects/NUMBER[/locations/LOCATION]`: each cluster is the
    membership of its name, in its own location where none is said. Empty: clusters have a DNS endpoint."""
    traces: str = "off"
    """Where spans are sent, by OTLP over HTTP: `off`, `google` (Cloud Trace), or the URL of a collector on loopback."""


def read(environ: Mapping[str, str], *needed: str) -> Settings:
    """The settings in `environ`. Raises Invalid once, naming every variable of `needed` that is missing."""
    required = ("GOOGLE_CLOUD_PROJECT", *needed)
    missing = [name for name in required if not environ.get(name)]
    if missing:
        raise Invalid(f"not set: {', '.join(missing)}", where="environment", remedy="see docs/reference/settings.md")
    endpoints = {
        service: loopback(f"POINTSMAN_{service.upper()}_ENDPOINT", value)
        for service in ("workflows", "workflowexecutions", "container", "monitoring", "secretmanager")
        if (value := environ.get(f"POINTSMAN_{service.upper()}_ENDPOINT"))
    }
    pools = environ.get("POINTSMAN_POOLS") or "observe"
    if pools not in ("observe", "resize", "full"):
        raise Invalid(f"{pools!r} is none of observe, resize, full", where="POINTSMAN_POOLS")
    return Settings(
        project=environ["GOOGLE_CLOUD_PROJECT"],
        location=environ.get("POINTSMAN_LOCATION", ""),
        cluster=environ.get("POINTSMAN_CLUSTER", ""),
        ledger=environ.get("POINTSMAN_LEDGER") or "firestore:(default)",
        endpoints=endpoints,
        callback_origin=(environ.get("POINTSMAN_CALLBACK_ORIGIN") or EXECUTIONS_ORIGIN).rstrip("/"),
        kubeconfig=environ.get("KUBECONFIG", ""),
        repository=environ.get("POINTSMAN_REPOSITORY", ""),
        branch=environ.get("POINTSMAN_BRANCH") or "main",
        repository_token=environ.get("POINTSMAN_REPOSITORY_TOKEN", ""),
        pools=cast("Literal['observe', 'resize', 'full']", pools),
        webhook_secrets=environ.get("POINTSMAN_WEBHOOK_SECRETS", ""),
        step_urls={
            name: environ[variable]
            for name, variable in (("rollout_step", "ROLLOUT_STEP_URL"), ("pool_step", "POOL_STEP_URL"))
            if environ.get(variable)
        },
        metadata_host=environ.get("GCE_METADATA_HOST") or METADATA_HOST,
        connect_gateway=_fleet(environ.get("POINTSMAN_CONNECT_GATEWAY", "")),
        traces=_traces(environ.get("POINTSMAN_TRACES") or "off"),
    )


def client(kind: type[C], settings: Settings, service: str) -> C:
    """A Google client of `kind`, over plain gRPC when the environment names an endpoint for `service`.

    `api_endpoint` in client options would still try TLS and retry past its own timeout, hence the channel.
    """
    endpoint = settings.endpoints.get(service)
    if endpoint is None:
        return kind()
    import grpc

    untyped = cast("Any", kind)
    transport = untyped.get_transport_class("grpc")(channel=grpc.insecure_channel(endpoint))
    return cast("C", untyped(transport=transport))


def _traces(value: str) -> str:
    if value in ("off", "google"):
        return value
    parts = urlsplit(value)
    if parts.scheme != "http":
        remedy = "use off, google, or http://127.0.0.1:PORT/v1/traces"
        raise Invalid(f"{value!r} is no place for traces", where="POINTSMAN_TRACES", remedy=remedy)
    loopback("POINTSMAN_TRACES", parts.netloc)
    return value


def _fleet(value: str) -> str:
    if value and not re.fullmatch(r"projects/[0-9]+(/locations/[a-z0-9-]+)?", value):
        remedy = "use projects/NUMBER or projects/NUMBER/locations/LOCATION"
        raise Invalid(f"{value!r} is no fleet", where="POINTSMAN_CONNECT_GATEWAY", remedy=remedy)
    return value


def loopback(variable: str, endpoint: str) -> str:
    """`endpoint`, which is `host:port` on the loopback interface. Raises Invalid, naming the variable that it is of."""
    host = urlsplit(f"//{endpoint}").hostname or ""
    try:
        ours = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        ours = False
    if not ours:
        raise Invalid(f"{endpoint!r} is not on the loopback interface", where=variable, remedy="unset it")
    return endpoint
