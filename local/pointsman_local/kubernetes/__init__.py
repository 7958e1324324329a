"""The slice of the Kubernetes API that pointsman uses, with pods that are processes of this machine."""

from pointsman_local.kubernetes.server import serve

__all__ = ["serve"]
