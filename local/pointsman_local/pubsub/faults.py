"""The faults that can be asked for: what Pub/Sub does to messages on a bad day, on demand, for one subscription."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import cast

from pointsman_local.pubsub.wire import Refused

__all__ = ["GATHER_S", "Faults"]

GATHER_S = 2.0
"""How long a message that is to be reordered waits for the rest of its group."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of one subscription. They act on messages published after they were set, and stay until changed."""

    drop: int = 0
    """The next so many messages never arrive; counted down."""
    duplicate: int = 1
    """Every message is delivered this many times, each copy with its own acknowledgement."""
    delay_s: float = 0.0
    """Every message is first delivered this many seconds after it was published."""
    reorder: int = 1
    """Messages are gathered in groups of this size, each delivered newest first; a group that is not full
    within 2 s goes as it is. Messages with an ordering key keep their order where the subscription has ordering."""
    lose_acks: int = 0
    """The next so many acknowledgements are lost, so that the message comes again; counted down."""

    @classmethod
    def of(cls, data: object) -> "Faults":
        """Faults as asked for in JSON; what is not named is off. Raises Refused, naming the field."""
        if not isinstance(data, Mapping):
            raise Refused.invalid("faults are a JSON object")
        names = {field.name for field in fields(cls)}
        for name, value in data.items():
            if name not in names:
                raise Refused.invalid(f"{name}: no such fault (known: {', '.join(sorted(names))})")
            least = 1 if name in ("duplicate", "reorder") else 0
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (name == "delay_s" and isinstance(value, float))) or not least <= value <= 1000:
                raise Refused.invalid(f"{name}: a number from {least} to 1000 is needed")
        return cls(**cast("Mapping[str, int]", data))

    def as_json(self) -> dict[str, float]:
        return asdict(self)
