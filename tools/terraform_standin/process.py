"""The stand-in as a process that Terraform starts: go-plugin's handshake on stdout, then gRPC on a Unix socket."""

import base64
import os
import shutil
import signal
import sys
import tempfile
import threading
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tools.terraform_standin.messages import message
from tools.terraform_standin.provider import CALLS, Provider

__all__ = ["main"]

COOKIE = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
"""What Terraform sets for its providers, so that nobody starts one by hand."""
ANSWER_S = 0.02
"""How long the answer to `Shutdown` may take to leave, before the process ends."""


def main() -> None:
    """Serve the schema named on the command line, until Terraform says `Shutdown`."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit("this is a provider for Terraform, which starts it itself")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Terraform gets it too, and says when to end
    folder = Path(tempfile.mkdtemp(prefix="standin"))
    without_limit = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=without_limit)
    provider = Provider(Path(sys.argv[1]))
    calls = {name: _handler(getattr(provider, name), message(request)) for name, request in CALLS.items()}
    stop: dict[str, Any] = {
        "Shutdown": grpc.unary_unary_rpc_method_handler(lambda _request, _context: _shut_down(folder))
    }
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tfplugin5.Provider", calls),
            grpc.method_handlers_generic_handler("plugin.GRPCController", stop),
        )
    )
    key, certificate, encoded = _self_signed()
    server.add_secure_port(f"unix:{folder / 'socket'}", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    sys.stdout.write(f"1|5|unix|{folder / 'socket'}|grpc|{encoded}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _handler(method: Any, request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        lambda asked, _context: method(asked),
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer if isinstance(answer, bytes) else answer.SerializeToString(),
    )


def _shut_down(folder: Path) -> bytes:
    """Without this Terraform waits two seconds at the end of every command, and kills."""
    shutil.rmtree(folder, ignore_errors=True)
    threading.Timer(ANSWER_S, os._exit, (0,)).start()
    return b""


def _self_signed() -> tuple[bytes, bytes, str]:
    """Key, certificate, and the certificate as the handshake carries it: core always speaks TLS to providers."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    public = certificate.public_bytes(serialization.Encoding.PEM)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return private, public, base64.b64encode(der).decode().rstrip("=")
