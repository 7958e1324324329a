"""Kubernetes' Pod Security Standards, Baseline and Restricted, over a template.

Source: "Pod Security Standards" of the Kubernetes documentation. What it says of ephemeral containers is left
out: a template has none.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, cast

from pointsman.documents.faults import Path, Problem
from pointsman.documents.pod_template import containers

__all__ = ["check_security"]

Level = Literal["Restricted", "Baseline", "Privileged"]

_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
_SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)
_RESTRICTED_VOLUMES = frozenset(
    ("name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
)
_VOLUME = "use an emptyDir, a PVC or a CSI volume"
_APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/"


def check_security(template: Mapping[str, object], level: Level, path: Path) -> Iterator[Problem]:
    """What the template asks beyond the standard."""
    if level == "Privileged":
        return
    pod = _Pod(template, level, path)
    yield from pod.baseline()
    if level == "Restricted":
        yield from pod.restricted()


def _map(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class _Pod:
    def __init__(self, template: Mapping[str, object], level: Level, path: Path) -> None:
        self._level = level
        self._spec = _map(template.get("spec"))
        self._path = (*path, "spec")
        self._annotations = _map(_map(template.get("metadata")).get("annotations"))
        self._annotations_path = (*path, "metadata", "annotations")
        self._containers = list(containers(template, path))
        # Everything that may have a security context: the pod, then its containers.
        self._contexts = [
            (_map(owner.get("securityContext")), (*where, "securityContext"))
            for owner, where in [(self._spec, self._path), *self._containers]
        ]

    def _refused(self, path: Path, remedy: str, what: str = "") -> Problem:
        text = f"{what} refused by podSecurity {self._level}".strip()
        return Problem("unsafe-template", path, text, f"{remedy}, or ask the platform's owners")

    def baseline(self) -> Iterator[Problem]:
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if self._spec.get(name) is True:
                yield self._refused((*self._path, name), "remove it")
        for index, volume in enumerate(_items(self._spec.get("volumes"))):
            if _map(volume).get("hostPath") is not None:
                yield self._refused(
                    (*self._path, "volumes", index, "hostPath"), "use an emptyDir, a PVC or a CSI volume"
                )
        for key, value in self._annotations.items():
            if (
                key.startswith(_APPARMOR_PREFIX)
                and value != "runtime/default"
                and not str(value).startswith("localhost/")
            ):
                yield self._refused((*self._annotations_path, key), "use runtime/default", f"{value}")
        for context, path in self._contexts:
            yield from self._context(context, path)
        for container, path in self._containers:
            yield from self._container(container, path)

    def _context(self, context: Mapping[str, object], path: Path) -> Iterator[Problem]:
        if _map(context.get("windowsOptions")).get("hostProcess") is True:
            yield self._refused((*path, "windowsOptions", "hostProcess"), "remove it")
        linux = _map(context.get("seLinuxOptions"))
        if str(linux.get("type", "")) not in _SELINUX_TYPES:
            yield self._refused((*path, "seLinuxOptions", "type"), "use container_t", f"{linux['type']}")
        for name in ("user", "role"):
            if linux.get(name):
                yield self._refused((*path, "seLinuxOptions", name), "remove it")
        for name in ("seccompProfile", "appArmorProfile"):
            kind = _map(context.get(name)).get("type")
            if kind is not None and kind not in ("RuntimeDefault", "Localhost"):
                yield self._refused((*path, name, "type"), "use RuntimeDefault", f"{kind}")
        for index, sysctl in enumerate(_items(context.get("sysctls"))):
            name = str(_map(sysctl).get("name"))
            if name not in _SYSCTLS:
                yield self._refused((*path, "sysctls", index, "name"), "remove it", name)

    def _container(self, container: Mapping[str, object], path: Path) -> Iterator[Problem]:
        context, where = _map(container.get("securityContext")), (*path, "securityContext")
        if context.get("privileged") is True:
            yield self._refused((*where, "privileged"), "remove it")
        if context.get("procMount") not in (None, "Default"):
            yield self._refused((*where, "procMount"), "use Default", f"{context['procMount']}")
        added = [str(name) for name in _items(_map(context.get("capabilities")).get("add"))]
        allowed = _CAPABILITIES if self._level == "Baseline" else {"NET_BIND_SERVICE"}
        if beyond := [name for name in added if name not in allowed]:
            yield self._refused((*where, "capabilities", "add"), "remove them", ", ".join(beyond))
        for index, port in enumerate(_items(container.get("ports"))):
            if _map(port).get("hostPort"):
                yield self._refused((*path, "ports", index, "hostPort"), "remove it: traffic comes by the Service")
        lifecycle = _map(container.get("lifecycle"))
        handlers = [
            (_map(container.get(f"{name}Probe")), (*path, f"{name}Probe"))
            for name in ("liveness", "readiness", "startup")
        ]
        handlers += [(_map(lifecycle.get(name)), (*path, "lifecycle", name)) for name in ("postStart", "preStop")]
        for handler, at in handlers:
            for name in ("httpGet", "tcpSocket"):
                if _map(handler.get(name)).get("host"):
                    yield self._refused((*at, name, "host"), "remove it: the pod itself is asked")

    def restricted(self) -> Iterator[Problem]:
        for index, volume in enumerate(_items(self._spec.get("volumes"))):
            for name in _map(volume):
                if name not in _RESTRICTED_VOLUMES and name != "hostPath":
                    yield self._refused((*self._path, "volumes", index, name), _VOLUME)
        pod, _ = self._contexts[0]
        for context, path in self._contexts:
            if context.get("runAsUser") == 0:
                yield self._refused((*path, "runAsUser"), "use another user than 0", "root is")
            if context.get("runAsNonRoot") is False:
                yield self._refused((*path, "runAsNonRoot"), "set it to true", "false is")
        for context, path in self._contexts[1:]:
            if context.get("allowPrivilegeEscalation") is not False:
                yield self._refused((*path, "allowPrivilegeEscalation"), "set it to false", "not false:")
            if "ALL" not in _items(_map(context.get("capabilities")).get("drop")):
                yield self._refused((*path, "capabilities", "drop"), "drop ALL", "does not drop ALL:")
            if context.get("runAsNonRoot") is None and pod.get("runAsNonRoot") is None:
                yield self._refused((*path, "runAsNonRoot"), "set it to true", "not set:")
            if "seccompProfile" not in context and "seccompProfile" not in pod:
                yield self._refused((*path, "seccompProfile"), "use type: RuntimeDefault", "not set:")
