"""Secret Manager's one call: AccessSecretVersion, of secrets that are files `DATA/secrets/<id>`.

A file has one version, 1, which is also `latest`. Every other call is answered UNIMPLEMENTED, by name.
"""

from pointsman_local.secretmanager.server import serve

__all__ = ["serve"]
