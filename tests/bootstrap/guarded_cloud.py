"""Google's APIs as IAM sees them: a call is let through when its permissions were granted, and answered with next to
nothing; what was called is remembered. One gRPC and one HTTP server on the loopback interface.
"""

import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.cloud.container_v1 import types as container
from google.cloud.firestore_v1 import types as firestore
from google.cloud.secretmanager_v1 import types as secrets
from google.cloud.workflows.executions_v1 import types as executions
from google.protobuf.timestamp_pb2 import Timestamp
from google.pubsub_v1 import types as pubsub

__all__ = ["CALLS", "GATEWAY", "TABLE", "GuardedCloud", "guarded_cloud"]

TABLE = yaml.safe_load((Path(__file__).resolve().parents[2] / "bootstrap" / "permissions.yaml").read_text())
CALLS: Mapping[str, Sequence[str]] = TABLE["calls"]
STREAMS = ("BatchGetDocuments", "RunQuery")

_NOW = Timestamp(seconds=1_700_000_000)


def _answers() -> dict[str, Any]:
    """Method → what it answers when it may; others answer an empty message."""
    version = secrets.AccessSecretVersionResponse(payload=secrets.SecretPayload(data=b"hunter2"))
    received = pubsub.ReceivedMessage(ack_id="1", message=pubsub.PubsubMessage(data=b"{}", message_id="7"))
    pool = container.NodePool(
        name="l4",
        locations=["us-central1-a"],
        autoscaling=container.NodePoolAutoscaling(enabled=True, total_max_node_count=4),
        config=container.NodeConfig(labels={"pointsman.dev/pool": "l4"}),
        instance_group_urls=["GROUP"],
    )
    endpoint = container.ControlPlaneEndpointsConfig.DNSEndpointConfig(endpoint="cluster.gke.goog")
    config = container.ControlPlaneEndpointsConfig(dns_endpoint_config=endpoint)
    operation = container.Operation(name="operation-1", status=container.Operation.Status.RUNNING)
    made = dict.fromkeys(
        ("CreateNodePool", "DeleteNodePool", "SetNodePoolSize", "SetNodePoolAutoscaling", "GetOperation"), operation
    )
    return {
        **made,
        "Publish": pubsub.PublishResponse(message_ids=["1"]),
        "Pull": pubsub.PullResponse(received_messages=[received]),
        "AccessSecretVersion": version,
        "BeginTransaction": firestore.BeginTransactionResponse(transaction=b"1"),
        "Commit": firestore.CommitResponse(commit_time=_NOW, write_results=[firestore.WriteResult(update_time=_NOW)]),
        "CreateExecution": executions.Execution(name="executions/1"),
        "GetExecution": executions.Execution(name="executions/1", state=executions.Execution.State.SUCCEEDED),
        "GetCluster": container.Cluster(control_plane_endpoints_config=config),
        "GetNodePool": pool,
        "ListNodePools": container.ListNodePoolsResponse(node_pools=[pool]),
    }


class GuardedCloud:
    """`granted` is what the caller holds; it may be changed between calls."""

    def __init__(self) -> None:
        self.granted: set[str] = set()
        self.called: list[str] = []
        self.document: Mapping[str, Any] = {}
        """What every document of the ledger holds."""
        self.grpc_port = 0
        self.http_port = 0
        self._pulled = False

    def begin(self, granted: Collection[str]) -> None:
        """Forget what was called; from now on these are granted."""
        self.granted, self.called, self._pulled = set(granted), [], False

    def allows(self, call: str) -> bool:
        """Note the call. A call that the table does not know is a KeyError: it needs a row."""
        self.called.append(call)
        return set(CALLS[call]) <= self.granted

    def answer(self, method: str, request: bytes) -> Any:
        """The answer to a gRPC call, as a message; None: refused."""
        service, _, name = method.removeprefix("/").partition("/")
        calls = _writes(method, request) if name == "Commit" else [f"{service}/{name}"]
        allowed = [self.allows(call) for call in calls]  # each is noted
        if not all(allowed):
            return None
        if name == "Pull":
            first, self._pulled = not self._pulled, True
            return _answers()[name] if first else pubsub.PullResponse()
        if name == "BatchGetDocuments":
            asked = firestore.BatchGetDocumentsRequest.deserialize(request)
            return _found(asked.documents[0], self.document)
        found: Any = _answers().get(name)
        if name in ("GetNodePool", "ListNodePools"):
            group = f"http://127.0.0.1:{self.http_port}/compute/v1/projects/lab/zones/z/instanceGroupManagers/g"
            for pool in [found] if name == "GetNodePool" else found.node_pools:
                pool.instance_group_urls = [group]
        return found or _Empty()


class _Empty:
    @staticmethod
    def serialize(_message: Any) -> bytes:
        return b""


def _writes(method: str, request: bytes) -> list[str]:
    """What a Commit asks for: Firestore's permission is by what is written."""
    commit = method.removeprefix("/")
    writes = firestore.CommitRequest.deserialize(request).writes
    kinds = {"delete" if write.delete else "update" for write in writes}
    return [f"{commit} {kind}" for kind in sorted(kinds)]


def _found(name: str, fields: Mapping[str, Any]) -> firestore.BatchGetDocumentsResponse:
    """A document that is there, or, for the key `new`, is not."""
    if name.endswith("new"):
        return firestore.BatchGetDocumentsResponse(missing=name, read_time=_NOW)
    document = firestore.Document(name=name, create_time=_NOW, update_time=_NOW, fields=fields)
    return firestore.BatchGetDocumentsResponse(found=document, read_time=_NOW)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, cloud: GuardedCloud) -> None:
        self._cloud = cloud

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = str(details.method)

        def one(request: bytes, context: grpc.ServicerContext) -> bytes:
            found = self._cloud.answer(method, request)
            if found is None:
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED: not granted")
            return bytes(type(found).serialize(found))

        def several(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            yield one(request, context)

        if method.endswith(STREAMS):
            return grpc.unary_stream_rpc_method_handler(several)
        return grpc.unary_unary_rpc_method_handler(one)


HTTP: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "/callbacks/": ("workflowexecutions.googleapis.com/callbacks", {}),
    "/compute/": ("compute.googleapis.com/instanceGroupManagers", {"targetSize": 1, "currentActions": {"none": 1}}),
    "/vertex/": ("aiplatform.googleapis.com/models", {"versionId": "3", "artifactUri": "gs://models/3"}),
    "/function/": ("run.app/functions", {}),
    "/v1/traces": ("telemetry.googleapis.com/traces", {}),
    "/api/": ("gke.goog/kubernetes", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}),
}
"""Path → the call that it stands for, and its answer. What lies elsewhere needs no permission."""
GATEWAY = "/gateway"
"""Below it the same Kubernetes API, reached by the Connect gateway."""


def _http(cloud: GuardedCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call, body = next((found for path, found in HTTP.items() if self.path.startswith(path)), ("", {}))
            if self.path.startswith(GATEWAY):
                call, body = f"connectgateway.googleapis.com/{self.command}", HTTP["/api/"][1]
            status = 200 if not call or cloud.allows(call) else 403
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler


@contextmanager
def guarded_cloud() -> Iterator[GuardedCloud]:
    cloud = GuardedCloud()
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[_Handler(cloud)])
    cloud.grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _http(cloud))
    cloud.http_port = http.server_address[1]
    serving = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield cloud
    finally:
        http.shutdown()
        serving.join()
        http.server_close()
        server.stop(None).wait()
