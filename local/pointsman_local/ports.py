"""Who listens where: ports that are free now, and that nobody is given meanwhile."""

import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import chain
from random import SystemRandom

__all__ = ["free_ports"]

# Below the pods' (20,000 on) and those that a system gives to whoever asks for any (from 32,768 on Linux, else 49,152).
FIRST, END = 10_000, 20_000


def free_ports(names: Iterable[str], before: Mapping[str, int]) -> dict[str, int]:
    """A port on 127.0.0.1 for each name: the one `before` where that is free, else the next in a row that begins at
    random.

    Until a service listens, no connection and no `bind` to port 0 takes its port, and another local cloud that
    chooses at the same time seldom does: rows of 30 overlap once in 150 times.
    """
    ports: dict[str, int] = {}
    row = iter(range(SystemRandom().randrange(FIRST, END - 1000), END))
    with ExitStack() as held:  # until the last is found, so that none is given twice
        for name in names:
            holder = held.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for port in chain([before[name]] if name in before else [], row):
                try:
                    holder.bind(("127.0.0.1", port))
                except OSError:
                    continue
                ports[name] = port
                break
    return ports
