"""The gateway: a real Envoy that follows the HTTPRoutes of the local Kubernetes API."""

from pointsman_local.gateway.server import serve

__all__ = ["serve"]
