"""POST to somebody else's API: bounded, encrypted, without redirects, and without a secret in any error."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import urllib3

from pointsman.errors import Absent, Denied, Invalid, Unavailable

__all__ = ["Poster"]

TIMEOUT_S = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Poster:
    """One pool of connections."""

    def __init__(self) -> None:
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False)

    def post(self, where: str, url: str, body: bytes, headers: Mapping[str, str], *, fine: tuple[int, ...] = ()) -> int:
        """The status of an answer of 2xx or one of `fine`. `where` stands for the URL, which may be a secret.

        Raises Invalid for a URL that is not https (http only on loopback) and for other answers, Denied for 401 and
        403, Absent for 404 and 410, Unavailable for 429, 5xx and silence.
        """
        _check(where, url, headers)
        try:
            answer = self._http.request(
                "POST", url, body=body, headers={"User-Agent": "pointsman", **headers}, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            # Not chained: urllib3 puts the URL into its messages.
            raise Unavailable(f"no answer: {type(error).__name__}", where=where) from None
        status = answer.status
        if 200 <= status < 300 or status in fine:
            return status
        if status in (401, 403):
            raise Denied(f"it answered {status}", where=where, remedy="renew its secret")
        if status in (404, 410):
            raise Absent(f"it answered {status}", where=where, remedy="renew its URL or archive the channel")
        if status == 429 or status >= 500:
            raise Unavailable(f"it answered {status}", where=where)
        raise Invalid(f"it answered {status}", where=where)


def _check(where: str, url: str, headers: Mapping[str, str]) -> None:
    """What the HTTP library would refuse too, but by quoting it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    encrypted = host and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))
    if not encrypted or not url.isascii() or not url.isprintable() or " " in url:
        raise Invalid("its URL is not an https URL", where=where, remedy="check the secret that holds it")
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise Invalid("its secret holds what no header may", where=where, remedy="store it without line breaks")
