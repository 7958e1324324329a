"""MLflow's webhooks: signed, tried four times with the same identity, then lost, as MLflow loses them.

A laptop has one webhook, to the local receiver, with the first of the secrets that the supervisor wrote for
`mlflow`. Losing and doubling can be asked for, as of a bad network.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import random
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp

from pointsman_local.site import Site

__all__ = ["Webhooks", "signature"]

# mlflow/webhooks/delivery.py: urllib3's Retry(total=3, backoff_factor=1, backoff_jitter=1)
TRIES = 4
RETRIED = (429, 500, 502, 503, 504)
PAUSES_S = (0.0, 2.0, 4.0)
PAUSE_S_MAX = 60.0
JITTER_S = 1.0
REQUEST_S = 30.0


class Webhooks:
    """Sends in the background, without any order."""

    def __init__(self, site: Site, session: aiohttp.ClientSession) -> None:
        self._site = site
        self._session = session
        self._running: set[asyncio.Task[None]] = set()
        self._drop = 0
        self._copies = 1

    def misbehave(self, *, drop: int, copies: int) -> None:
        """Lose the next `drop` events; deliver each later one `copies` times."""
        self._drop = drop
        self._copies = copies

    def send(self, entity: str, action: str, data: Mapping[str, object]) -> None:
        if self._drop > 0:
            self._drop -= 1
            return
        body = {"entity": entity, "action": action, "timestamp": datetime.now(UTC).isoformat(), "data": data}
        encoded = json.dumps(body).encode()
        delivery, moment = str(uuid.uuid4()), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-MLflow-Delivery-Id": delivery,
            "X-MLflow-Timestamp": moment,
        }
        secret = self._secret()
        if secret:
            headers["X-MLflow-Signature"] = signature(secret, delivery, moment, encoded)
        for _ in range(self._copies):
            task = asyncio.create_task(self._deliver(encoded, headers))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _deliver(self, body: bytes, headers: Mapping[str, str]) -> None:
        url = f"{self._site.url('functions/receive_webhook')}/webhooks/mlflow"
        problem = ""
        for attempt in range(TRIES):
            pause = 0.0
            try:
                timeout = aiohttp.ClientTimeout(total=REQUEST_S)
                async with self._session.post(url, data=body, headers=headers, timeout=timeout) as answer:
                    if answer.status not in RETRIED:
                        return
                    problem = f"HTTP {answer.status}"
                    pause = _retry_after(answer.headers.get("Retry-After", ""))
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = type(error).__name__
            if attempt < TRIES - 1:
                backoff = PAUSES_S[attempt] + (random.uniform(0, JITTER_S) if PAUSES_S[attempt] else 0.0)
                await asyncio.sleep(min(PAUSE_S_MAX, pause or backoff))
        print(f"webhook {headers['X-MLflow-Delivery-Id']} is lost after {TRIES} tries: {problem}", file=sys.stderr)  # noqa: T201 - the log

    def _secret(self) -> str:
        path = self._site.data / "run" / "webhook_secrets.json"
        secrets = json.loads(path.read_text()).get("mlflow", []) if path.exists() else []
        return str(secrets[0]) if secrets else ""


def signature(secret: str, delivery: str, moment: str, body: bytes) -> str:
    """`v1,<base64>`: HMAC-SHA256 over delivery id, time and body, by the secret's UTF-8 bytes."""
    signed = b".".join((delivery.encode(), moment.encode(), body))
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def _retry_after(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
