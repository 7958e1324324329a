"""HTTP requests of workflows ("Make an HTTP request", http.request): performed with aiohttp, answered as values."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from pointsman_local.workflows.errors import (
    Raised,
    http_error,
    resource_error,
    system_error,
    timeout_error,
    type_error,
    value_error,
)
from pointsman_local.workflows.state import Wait
from pointsman_local.workflows.values import Value, decode_json, encode_json, python_name, text_of

if TYPE_CHECKING:
    import aiohttp
    import yarl

__all__ = ["audience_of", "perform", "prepared", "received"]

RESPONSE_BYTES_MAX: Final = 2 * 1024 * 1024  # "Quotas and limits": HTTP response size
USER_AGENT: Final = "GoogleCloudWorkflows; (+https://cloud.google.com/workflows/docs)"
JSON_TYPE: Final = re.compile(r"application/(json|[\w.+-]+\+json)\b")
TEXT_TYPE: Final = re.compile(r"text/|application/(xml|[\w.+-]+\+xml|javascript|x-www-form-urlencoded|yaml)\b")


def audience_of(wait: Wait) -> str | None:
    """For whom an OIDC token is wanted; None when none is. Raises what a wrong `auth` raises."""
    auth = wait["auth"]
    if auth is None:
        return None
    kind, audience = auth.get("type"), auth.get("audience", wait["url"])
    if kind not in ("OIDC", "OAuth2"):
        raise value_error("http: auth.type must be OIDC or OAuth2")
    if not isinstance(audience, str):
        raise type_error("http: auth.audience must be a string")
    return audience


def prepared(wait: Wait, token: str | None) -> tuple["yarl.URL", dict[str, str], bytes | None]:
    """What is sent: address, headers, body. Raises Raised on what cannot be."""
    import yarl

    headers = dict(_headers(wait["headers"]))
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    data, implied = _encoded(wait["body"], content_type)
    if implied is not None:
        headers["Content-Type"] = implied
    agent = next((name for name in headers if name.lower() == "user-agent"), "User-Agent")
    headers[agent] = f"{headers[agent]} {USER_AGENT}" if agent in headers else USER_AGENT
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        url = yarl.URL(wait["url"])
        return url.extend_query([*_query(wait["query"])]) if wait["query"] else url, headers, data
    except ValueError as error:
        raise value_error(f"http: {error}") from None


async def perform(session: "aiohttp.ClientSession", wait: Wait, token: str | None) -> Value:
    """The answer as `{body, code, headers}`. Raises Raised: HttpError, ConnectionError, TimeoutError, …"""
    import aiohttp

    url, headers, data = prepared(wait, token)
    try:
        async with session.request(
            wait["method"],
            url,
            headers=headers,
            data=data,
            skip_auto_headers=("Content-Type",),
            timeout=aiohttp.ClientTimeout(total=wait["timeout"]),
        ) as response:
            content = await response.content.read(RESPONSE_BYTES_MAX + 1)
            while len(content) <= RESPONSE_BYTES_MAX and not response.content.at_eof():
                content += await response.content.read(RESPONSE_BYTES_MAX + 1 - len(content))
    except TimeoutError:
        raise timeout_error("request timed out") from None
    except aiohttp.ClientConnectorError as error:
        raise _lost("ConnectionFailedError", f"connection could not be established: {error}") from None
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
        raise _lost("ConnectionError", f"connection broken: {error}") from None
    except (aiohttp.InvalidURL, ValueError) as error:
        raise value_error(f"http: {error}") from None
    except aiohttp.ClientError as error:
        raise system_error(f"http: {error}") from None
    if len(content) > RESPONSE_BYTES_MAX:
        raise resource_error("ResultSizeLimitExceededError", "the HTTP response is larger than 2 MB")
    named = _received(response.headers)
    body = _decoded(content, response.headers.get("Content-Type", ""))
    if response.status >= 400:
        raise http_error(response.status, named, body)
    return {"body": body, "code": response.status, "headers": named}


def received(content_type: str, content: bytes) -> Value:
    """The body of a request to a callback: a value where it is JSON, else text, else bytes."""
    if not content:
        return None
    if JSON_TYPE.match(content_type):
        try:
            return decode_json(content)
        except Raised:
            pass
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _lost(tag: str, message: str) -> Raised:
    return Raised({"message": message, "tags": [tag, "OSError"]})


def _headers(given: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, bool | int | float):
            yield name, text_of(value)
        else:
            raise type_error(f"http: header '{name}' must be a string, not '{python_name(value)}'")


def _query(given: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str):
                yield name, part
            elif isinstance(part, bool | int | float):
                yield name, text_of(part)
            elif part is not None:
                raise type_error(f"http: query parameter '{name}' cannot be '{python_name(part)}'")


def _encoded(body: Value, content_type: str | None) -> tuple[bytes | None, str | None]:
    """What is sent, and the Content-Type where the workflow gave none."""
    if body is None:
        return None, None
    if isinstance(body, bytes):
        return body, "application/octet-stream" if content_type is None else None
    if content_type is None:
        return encode_json(body).encode(), "application/json; charset=utf-8"
    if JSON_TYPE.match(content_type):
        if not isinstance(body, dict | list):
            raise type_error(f"http: a body of type {content_type} must be a map, not '{python_name(body)}'")
        return encode_json(body).encode(), None
    if content_type.startswith("application/x-www-form-urlencoded") and isinstance(body, dict):
        return urlencode([*_query(body)]).encode(), None
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass"), None
    raise type_error(f"http: a body of type {content_type} must be a string or bytes, not '{python_name(body)}'")


def _received(headers: Mapping[str, str]) -> dict[str, Any]:
    """Headers in their canonical case, several of one name joined."""
    named: dict[str, Any] = {}
    for name, value in headers.items():
        canonical = "-".join(part.capitalize() for part in name.split("-"))
        named[canonical] = f"{named[canonical]}, {value}" if canonical in named else value
    return named


def _decoded(content: bytes, content_type: str) -> Value:
    if JSON_TYPE.match(content_type):
        if not content:
            return None
        try:
            return decode_json(content)
        except Raised:
            return content.decode("utf-8", "replace")
    charset = re.search(r"charset=\"?([\w-]+)", content_type)
    if content_type and not TEXT_TYPE.match(content_type):
        return content
    try:
        return content.decode(charset[1] if charset else "utf-8")
    except (UnicodeError, LookupError):
        return content
