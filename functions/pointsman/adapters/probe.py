"""Requests through a gateway, to see whether a revision answers there before anybody is sent to it."""

from collections.abc import Mapping

import urllib3

from pointsman.adapters.endpoints import Settings
from pointsman.ports import Target

__all__ = ["GatewayProbe", "connect"]

DEADLINE_S = 5.0


class GatewayProbe:
    """`ports.Probe`. A gateway is asked at its address, for the host that the request is meant for."""

    def __init__(self) -> None:
        self._timeout = urllib3.Timeout(total=DEADLINE_S)
        self._plain = urllib3.PoolManager(timeout=self._timeout, retries=False)

    def __call__(self, target: Target, path: str, headers: Mapping[str, str]) -> int:
        pool = self._plain
        if target.tls:  # the certificate is the host's, not the address's
            pool = urllib3.PoolManager(
                timeout=self._timeout, retries=False, server_hostname=target.host, assert_hostname=target.host
            )
        address = f"[{target.address}]" if ":" in target.address else target.address
        url = f"{'https' if target.tls else 'http'}://{address}:{target.port}{path}"
        try:
            answer = pool.request("GET", url, headers={**headers, "Host": target.host}, redirect=False)
        except urllib3.exceptions.HTTPError:
            return 0
        return int(answer.status)


def connect(settings: Settings) -> GatewayProbe:
    return GatewayProbe()
