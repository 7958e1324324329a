"""What every local service is told: where it may write, and who listens where."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

__all__ = ["ENDPOINTS", "Site"]

ENDPOINTS = (
    "pubsub",  # gRPC
    "pubsub-rest",  # HTTP
    "secretmanager",  # gRPC
    "mlflow",  # HTTP
    "workflows",  # gRPC: Workflows and Executions
    "workflows-rest",  # HTTP: both APIs for gcloud, and callbacks
    "container",  # gRPC: ClusterManager
    "container-rest",  # HTTP
    "monitoring",  # gRPC: MetricService, AlertPolicyService, NotificationChannelService
    "monitoring-rest",  # HTTP: Prometheus' API
    "kubernetes",  # HTTP
    "gateway",  # HTTP: Envoy's listener
    "envoy-admin",  # HTTP
    "git",  # HTTP
    "scheduler",  # HTTP
)


@dataclass(frozen=True, slots=True)
class Site:
    """One local cloud. A service writes only below `data/<its name>`; state there survives a restart.

    `ports` maps an endpoint (`ENDPOINTS`) or `functions/<name>` to its port on 127.0.0.1, fixed for the
    life of the cloud, so that a service that is started again is found where it was.
    """

    data: Path
    project: str
    location: str
    cluster: str
    ports: Mapping[str, int]

    def address(self, endpoint: str) -> str:
        """`host:port` of an endpoint."""
        return f"127.0.0.1:{self.ports[endpoint]}"

    def url(self, endpoint: str) -> str:
        """`http://host:port` of an endpoint, without a slash at the end."""
        return f"http://{self.address(endpoint)}"

    def folder(self, service: str) -> Path:
        """The folder a service may write to; made when it is not there."""
        folder = self.data / service
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({**asdict(self), "data": str(self.data)}, indent=1))

    @classmethod
    def load(cls, path: Path) -> "Site":
        return replace(cls(**json.loads(path.read_text())), data=Path(json.loads(path.read_text())["data"]))
