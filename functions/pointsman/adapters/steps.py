"""The step functions, asked by `sweep`: their read-only verb `inspect`, with the caller's own identity token.

The token comes from the metadata server ("Authenticate service to service" in Cloud Run's docs), whose address
`GCE_METADATA_HOST` overrides, as in Google's libraries.
"""

import json
from typing import cast

import urllib3

from pointsman.adapters.endpoints import Settings
from pointsman.core.names import JSON
from pointsman.errors import Denied, Invalid, Unavailable

__all__ = ["Steps", "connect"]

TIMEOUT_S = 10.0
IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity"


class Steps:
    """`rollout_step` and `pool_step`, as one function sees another."""

    def __init__(self, settings: Settings) -> None:
        self._urls = settings.step_urls
        self._metadata = settings.metadata_host
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False)

    def inspect(self, function: str) -> JSON:
        """What differs from the ledger, as the function answers. Raises Invalid, Denied, Unavailable."""
        url = self._urls.get(function)
        if url is None:
            variable = f"{function.upper()}_URL"
            raise Invalid(f"not set: {variable}", where="environment", remedy="see docs/reference/settings.md")
        headers = {"Authorization": f"Bearer {self._token(url)}", "Content-Type": "application/json"}
        status, body = self._ask("POST", f"{url}/inspect", headers, b"{}")
        if status in (401, 403):
            raise Denied(f"{function} refused", where=url, remedy="let sweep's service account invoke it")
        if status != 200:
            raise Unavailable(f"{function} answered {status}", where=url)
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise Unavailable(f"{function} did not answer in JSON", where=url) from error
        return cast("JSON", answer if isinstance(answer, dict) else {})

    def _token(self, audience: str) -> str:
        url = f"http://{self._metadata}{IDENTITY}?audience={audience}&format=full"
        status, body = self._ask("GET", url, {"Metadata-Flavor": "Google"})
        if status != 200:
            raise Unavailable(f"the metadata server answered {status}", where=self._metadata)
        return body.decode("ascii", "replace").strip()

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, bytes]:
        try:
            answer = self._pool.request(method, url, headers=headers, body=body)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"no answer: {type(error).__name__}", where=url.partition("?")[0]) from error
        return answer.status, answer.data


def connect(settings: Settings) -> Steps:
    return Steps(settings)
