"""Cloud Workflows: executions by Google's client, callbacks by a plain POST.

A callback is rung with an OAuth access token (not an identity token), as "Wait using callbacks" of Workflows' docs
asks; the local executor, which lives on another origin, asks for none. URLs of any other origin are not rung.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from urllib.parse import urlsplit

from pointsman.adapters.endpoints import EXECUTIONS_ORIGIN, Settings, client
from pointsman.core.names import JSON
from pointsman.errors import Absent, Denied, Invalid, Unavailable
from pointsman.ports import Execution, Workflows

if TYPE_CHECKING:
    from google.cloud.workflows.executions_v1 import ExecutionsClient
    from urllib3 import PoolManager

__all__ = ["connect"]

TIMEOUT_S = 10.0
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def connect(settings: Settings) -> Workflows:
    """Executions of the project's region; callbacks of `settings.callback_origin` and no other origin."""
    import urllib3
    from google.cloud.workflows.executions_v1 import ExecutionsClient

    with _translated("Workflows"):
        executions = client(ExecutionsClient, settings, "workflowexecutions")
    http = urllib3.PoolManager(timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False)
    parent = f"projects/{settings.project}/locations/{settings.location}/workflows"
    token = _access_token(http) if settings.callback_origin == EXECUTIONS_ORIGIN else None
    return _Workflows(executions, parent, http, settings.callback_origin, token)


class _Workflows:
    """`token` gives the access token for callbacks; None: they are rung without."""

    def __init__(
        self,
        executions: "ExecutionsClient",
        parent: str,
        http: "PoolManager",
        origin: str,
        token: Callable[[], str] | None,
    ) -> None:
        self._executions = executions
        self._parent = parent
        self._http = http
        self._origin = origin
        self._token = token

    def start(self, workflow: str, argument: JSON) -> str:
        parent = f"{self._parent}/{workflow}"
        asked = {"parent": parent, "execution": {"argument": json.dumps(argument)}}
        with _translated(parent):
            # No retry: a lost answer may have started one, and whoever asks again has *claim* to sort it out.
            return str(self._executions.create_execution(request=asked, retry=None, timeout=TIMEOUT_S).name)

    def execution(self, name: str) -> Execution | None:
        try:
            with _translated(name):
                found = self._executions.get_execution(request={"name": name}, retry=None, timeout=TIMEOUT_S)
        except Absent:
            return None
        return Execution(
            name=found.name,
            state=_state(found.state.name),
            result=found.result or None,
            error=found.error.payload or None,
        )

    def cancel(self, name: str) -> None:
        """One that has ended is left as it is. Raises Absent."""
        from google.api_core.exceptions import FailedPrecondition

        with _translated(name):
            try:
                self._executions.cancel_execution(request={"name": name}, retry=None, timeout=TIMEOUT_S)
            except FailedPrecondition:
                return

    def ring(self, callback: str) -> bool:
        from urllib3.exceptions import HTTPError

        parts = urlsplit(callback)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise Invalid(
                "not a callback of the Executions host", where=callback, remedy="see POINTSMAN_CALLBACK_ORIGIN"
            )
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token()}"
        try:
            answer = self._http.request("POST", callback, body=b"{}", headers=headers, redirect=False)
        except HTTPError as error:
            raise Unavailable(f"the callback does not answer: {type(error).__name__}", where=parts.path) from error
        if answer.status in (200, 429):  # 429: it was rung already, and that ring is still to be heard
            return True
        if answer.status == 404:
            return False
        if answer.status in (401, 403):
            raise Denied("may not ring callbacks", where=parts.path, remedy="grant roles/workflows.invoker")
        raise Unavailable(f"the callback answered {answer.status}", where=parts.path)


def _access_token(http: "PoolManager") -> Callable[[], str]:
    """Tokens of the function's own service account, each used until it ends; found when the first is needed."""

    @cache
    def credentials() -> Any:
        import google.auth

        return google.auth.default(scopes=[SCOPE])[0]

    def token() -> str:
        from google.auth.transport.urllib3 import Request

        with _translated("callbacks"):
            found = credentials()
            if not found.valid:
                found.refresh(Request(http))  # type: ignore[no-untyped-call]
        return str(found.token)

    return token


_State = Literal["ACTIVE", "QUEUED", "SUCCEEDED", "FAILED", "CANCELLED", "UNAVAILABLE"]


def _state(name: str) -> _State:
    return cast("_State", name) if name in get_args(_State) else "UNAVAILABLE"


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Google's errors as ours. Messages of the service name the resource; they quote no argument."""
    from google.api_core import exceptions
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    try:
        yield
    except exceptions.NotFound as error:
        raise Absent("no such workflow or execution", where=where, remedy="deploy the workflows") from error
    except (exceptions.PermissionDenied, exceptions.Unauthenticated) as error:
        raise Denied("Workflows refused", where=where, remedy="grant roles/workflows.invoker") from error
    except (exceptions.InvalidArgument, exceptions.FailedPrecondition) as error:
        raise Invalid(f"Workflows cannot take it: {error.message}", where=where) from error
    except DefaultCredentialsError as error:
        raise Denied("no credentials for Workflows", where=where, remedy="run as a service account") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as error:
        raise Unavailable(f"Workflows does not answer: {type(error).__name__}", where=where) from error
