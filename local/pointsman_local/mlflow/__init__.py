"""MLflow's model registry: the few REST calls by which versions are registered and read, and its webhooks.

Nothing is trained or logged here: artifacts are only named. Every other call is answered 501, by name.
"""

from pointsman_local.mlflow.server import serve

__all__ = ["serve"]
