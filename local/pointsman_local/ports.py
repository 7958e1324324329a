"""Who listens where: ports that are free now, and that nobody is given meanwhile."""

import socket
from collections.abc import Mapping, Sequence
from random import SystemRandom

__all__ = ["free_ports", "is_free"]

# Below the pods' (20,000 on) and those that a system gives to whoever asks for any (from 32,768 on Linux, else 49,152).
FIRST, END = 10_000, 20_000


def free_ports(names: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    """A port on 127.0.0.1 for each name: the one `before` where that is free, else the next in a row that begins at
    random.

    Until a service listens, no connection and no `bind` to port 0 takes its port, and another local cloud that
    chooses at the same time seldom does: rows of 30 overlap once in 150 times.
    """
    kept = {name: before[name] for name in names if name in before and is_free(before[name])}
    row = range(SystemRandom().randrange(FIRST, END - 1000), END)
    others = (port for port in row if port not in kept.values() and is_free(port))
    return {name: kept[name] if name in kept else next(others) for name in names}


def is_free(port: int) -> bool:
    """Whether nobody listens at `port` of 127.0.0.1. One whose connections are only waiting out their end is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
