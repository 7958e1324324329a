"""What a container becomes on this machine: a command, an environment, a folder and a port.

Images are not run: the first container's `command` and `args` are, with the virtual environment's `python`
first in PATH, `PORT` in place of whatever ports are declared, and in `workingDir` or else in a folder of the pod's
own. Volumes, init containers and further containers are left out; limits are not enforced.
"""

import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pointsman_local.kubernetes.kinds import Object
from pointsman_local.ports import is_free

__all__ = ["CannotStart", "Program", "free_port", "program"]

# Below what kernels hand out for outgoing connections (from 32768 on Linux, 49152 elsewhere), so that a port
# is still free when the program asks for it some hundred milliseconds later.
PORTS = range(20_000, 32_000)

# Of this process's environment; a container sees nothing else of it.
_INHERITED = (
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_MAP_FIELD = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


class CannotStart(Exception):
    """A container that cannot be started: the waiting reason and a message for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Program:
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path


def program(pod: Object, port: int, own_folder: Path) -> Program:
    """What to start for a pod. Raises CannotStart."""
    container = pod["spec"]["containers"][0]
    env = _environment(pod, container, port)
    command = [_expand(word, env) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
    if not container.get("command"):
        message = (
            f"container {container['name']} has no command, and image {container['image']} is not run on this machine"
        )
        raise CannotStart("RunContainerError", message)
    folder = Path(container.get("workingDir") or own_folder)
    if not folder.is_dir():
        raise CannotStart("RunContainerError", f'workingDir "{folder}" is no folder on this machine')
    there = command[0] if "/" not in command[0] else str(folder / command[0])
    if shutil.which(there, path=env["PATH"]) is None:
        raise CannotStart("RunContainerError", f'exec: "{command[0]}": executable file not found in $PATH')
    return Program(command, env, folder)


def free_port(taken: set[int], preferred: int | None = None) -> int:
    """A port on 127.0.0.1 that nobody listens at now and that is not `taken`; `preferred` if it can be."""
    for port in [*([preferred] if preferred else []), *random.sample(PORTS, 200)]:
        if port not in taken and is_free(port):
            return port
    raise CannotStart("RunContainerError", f"no free port between {PORTS.start} and {PORTS.stop - 1}")


def _environment(pod: Object, container: Object, port: int) -> dict[str, str]:
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    scripts = Path(sys.executable).parent
    env |= {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(scripts.parent),
        "HOSTNAME": pod["metadata"]["name"],
        "PYTHONUNBUFFERED": "1",
        # A model server among many on a few cores: one thread each for linear algebra, unless the template says more.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    if container.get("envFrom"):
        raise CannotStart("CreateContainerConfigError", "envFrom: there are no ConfigMaps or Secrets on this machine")
    for variable in container.get("env") or []:
        value = _value(pod, variable, env)
        if value is not None:
            env[variable["name"]] = value
    # Last: what the template says of its port holds in a cluster, where every pod has an address of its own.
    env["PORT"] = str(port)
    return env


def _value(pod: Object, variable: Object, env: Mapping[str, str]) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return _expand(variable.get("value", ""), env)
    if path := (source.get("fieldRef") or {}).get("fieldPath"):
        return _field(pod, path)
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if kind in source:
            if source[kind].get("optional"):
                return None
            what = "secret" if kind == "secretKeyRef" else "configmap"
            raise CannotStart("CreateContainerConfigError", f'{what} "{source[kind].get("name")}" not found')
    raise CannotStart(
        "CreateContainerConfigError", f"env {variable['name']}: {', '.join(source)} is not known on this machine"
    )


_FIELDS: Mapping[str, Callable[[Object], object]] = {
    "metadata.name": lambda pod: pod["metadata"]["name"],
    "metadata.namespace": lambda pod: pod["metadata"]["namespace"],
    "metadata.uid": lambda pod: pod["metadata"]["uid"],
    "spec.nodeName": lambda pod: pod["spec"].get("nodeName", ""),
    "spec.serviceAccountName": lambda pod: pod["spec"].get("serviceAccountName", "default"),
    "status.podIP": lambda pod: "127.0.0.1",
    "status.hostIP": lambda pod: "127.0.0.1",
}


def _field(pod: Object, path: str) -> str:
    if match := _MAP_FIELD.match(path):
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    if path not in _FIELDS:
        raise CannotStart("CreateContainerConfigError", f"fieldRef {path} is not known on this machine")
    return str(_FIELDS[path](pod))


def _expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` as Kubernetes expands it: an unknown name stays as it is, `$$` is a dollar sign."""
    return _REFERENCE.sub(lambda match: "$" if match[1] == "$" else env.get(match[2], match[0]), text)
