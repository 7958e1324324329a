"""A git server with one repository, `local/config`, that rings the receiver as GitHub does."""

from pointsman_local.git.server import serve

__all__ = ["serve"]
