"""Secrets by reference: Secret Manager, by Google's client. What is read is never logged and in no message."""

import re
from typing import TYPE_CHECKING

from pointsman.adapters.endpoints import Settings, client
from pointsman.errors import Absent, Denied, Invalid, Unavailable

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

__all__ = ["SecretManager", "connect"]

DEADLINE_S = 10.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NAME = re.compile(r"projects/[^/]+/secrets/[A-Za-z0-9_-]{1,255}(/versions/(latest|[1-9][0-9]*))?")


class SecretManager:
    """Secrets of one project, or by full name of any that may be read."""

    def __init__(self, project: str, client: "SecretManagerServiceClient") -> None:
        self._project = project
        self._client = client

    def read(self, name: str) -> str:
        """The newest version of the secret `name` (id, or `projects/P/secrets/ID[/versions/V]`), as text.

        A line break at its end is cut off: `echo` puts one there, and no token or URL has one. Raises Absent,
        Denied, Invalid for what is no name or no text, Unavailable.
        """
        from google.api_core import exceptions
        from google.api_core.retry import Retry
        from google.auth.exceptions import GoogleAuthError

        path = self._path(name)
        # The client's own retry goes on for a minute, whatever `timeout` says.
        retry = Retry(initial=0.1, maximum=2.0, timeout=DEADLINE_S)
        try:
            answer = self._client.access_secret_version(request={"name": path}, retry=retry, timeout=DEADLINE_S)
            return answer.payload.data.decode().rstrip("\r\n")
        except exceptions.NotFound as error:
            raise Absent(
                "there is no such secret", where=name, remedy=f"create it: gcloud secrets create {name}"
            ) from error
        except exceptions.FailedPrecondition as error:
            raise Absent(
                "the secret's newest version is disabled or destroyed", where=name, remedy="add one"
            ) from error
        except (exceptions.PermissionDenied, exceptions.Unauthenticated) as error:
            remedy = "grant roles/secretmanager.secretAccessor on it to this function's account"
            raise Denied("the secret may not be read", where=name, remedy=remedy) from error
        except UnicodeDecodeError:
            # Not chained: the error holds the secret.
            raise Invalid("the secret is not text", where=name) from None
        except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as error:
            raise Unavailable(f"Secret Manager does not answer: {type(error).__name__}", where=name) from error

    def _path(self, name: str) -> str:
        if _ID.fullmatch(name):
            return f"projects/{self._project}/secrets/{name}/versions/latest"
        if _NAME.fullmatch(name):
            return name if "/versions/" in name else f"{name}/versions/latest"
        raise Invalid("this is no name of a secret", where=name, remedy="give its id, or projects/P/secrets/ID")


def connect(settings: Settings) -> SecretManager:
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    try:
        return SecretManager(settings.project, client(SecretManagerServiceClient, settings, "secretmanager"))
    except DefaultCredentialsError as error:
        raise Denied("no credentials for Secret Manager", remedy="run as a service account") from error
