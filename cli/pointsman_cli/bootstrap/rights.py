"""A right of the topology, as IAM knows it: `bootstrap/permissions.yaml`, of which Terraform makes its roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["POOLS", "Grant", "Rights", "rights"]

POOLS = ("observe", "resize", "full")
"""What `POINTSMAN_POOLS` may be; what is done to node pools is granted accordingly."""

PROJECT_WIDE = ("project", "database")


@dataclass(frozen=True, slots=True)
class Grant:
    """`what` (a role, or permissions) on each of `where`, because of the rights `why`."""

    what: str
    where: Sequence[str]
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rights:
    """Right → its scope, and its role or permissions."""

    rights: Mapping[str, Mapping[str, Any]]

    def permissions(self, may: Sequence[str], pools: str = "observe", *, gateway: bool = False) -> set[str]:
        """What an account with these rights needs in the project. `gateway`: clusters by the Connect gateway."""
        found: set[str] = set()
        for right in may:
            item = self.rights[right.partition(":")[0]]
            if item["scope"] in PROJECT_WIDE:
                by_gateway = gateway and "connect_gateway" in item
                found |= set(item["connect_gateway"] if by_gateway else item["permissions"])
                found |= set(item.get(pools, ()))
        return found

    def grants(
        self, may: Sequence[str], secrets: Sequence[str], topics: Sequence[str], pools: str = "observe"
    ) -> list[Grant]:
        """All that an account gets, one grant a role. Raises KeyError for a right that nothing is said of."""
        project = [right for right in may if self._scope(right) in PROJECT_WIDE]
        found = []
        if needed := self.permissions(project, pools):
            found.append(Grant(", ".join(sorted(needed)), ["project"], project))
        roles: dict[str, list[tuple[str, str]]] = {}
        for right in may:
            kind, _, of = right.partition(":")
            what = str(self.rights[kind].get("role") or ", ".join(self.rights[kind].get("permissions", ())))
            match self._scope(right):
                case "topic" | "function" as noun:
                    roles.setdefault(what, []).append((f"{noun} {of}", right))
                case "dead letters":
                    roles.setdefault(what, []).extend((f"subscription {topic}-dead", right) for topic in topics)
        if secrets:
            role = str(self.rights["secret"]["role"])
            roles[role] = [(f"secrets of {name}" if name.endswith("s") else f"secret {name}", role) for name in secrets]
        return found + [
            Grant(what, [where for where, _ in of], list(dict.fromkeys(why for _, why in of)))
            for what, of in roles.items()
        ]

    def _scope(self, right: str) -> str:
        return str(self.rights[right.partition(":")[0]]["scope"])


def rights(folder: Path) -> Rights:
    """Read `folder/bootstrap/permissions.yaml`."""
    return Rights(yaml.safe_load((folder / "bootstrap" / "permissions.yaml").read_text())["rights"])
