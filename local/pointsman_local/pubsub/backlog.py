"""What one subscription still has to deliver, and to whom it is lent: pure, with time passed in.

A delivery is ready (may be taken now), waiting (not before its time), leased (taken, not yet acknowledged), or
behind (its ordering key has an earlier one that is not acknowledged). Of one ordering key, what is leased is
always the head of its line, so that giving one back gives back all that came after it.
"""

from collections import deque
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal

__all__ = ["Backlog", "Delivery"]


@dataclass(slots=True)
class Delivery:
    """One message on its way to one subscription. `rank` orders it; `attempt` counts deliveries begun.

    `due` (Unix seconds) is when it may go, or, while it is leased, when the lease ends.
    """

    id: int
    message: int
    published: float
    rank: float
    key: str = ""
    attempt: int = 0
    due: float = 0.0
    state: Literal["ready", "waiting", "leased", "behind"] = "waiting"


class Backlog:
    """Deliveries of one subscription, by rank."""

    def __init__(self) -> None:
        self._all: dict[int, Delivery] = {}
        self._ready: list[tuple[float, int]] = []
        self._timers: list[tuple[float, int]] = []
        self._lines: dict[str, deque[int]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def get(self, number: int) -> Delivery | None:
        return self._all.get(number)

    def oldest(self) -> float | None:
        """When the oldest message that is not acknowledged was published."""
        return min((delivery.published for delivery in self._all.values()), default=None)

    def older_than(self, published: float) -> list[Delivery]:
        """Deliveries of messages that were published before `published`, leased or not."""
        return [delivery for delivery in self._all.values() if delivery.published < published]

    def add(self, delivery: Delivery, now: float) -> None:
        """Take a delivery in. Those of one ordering key must come in the order of their rank."""
        self._all[delivery.id] = delivery
        if delivery.key:
            line = self._lines.setdefault(delivery.key, deque())
            line.append(delivery.id)
            if len(line) > 1:
                delivery.state = "behind"
                return
        self._offer(delivery, now)

    def take(self, limit: int, until: float, now: float, *, alone: bool = False) -> list[Delivery]:
        """Lease up to `limit` deliveries until `until`, oldest first.

        `alone`: of each ordering key one at a time. Otherwise a line's head brings those behind it along.
        """
        batch: list[Delivery] = []
        while self._ready and len(batch) < limit:
            rank, number = heappop(self._ready)
            delivery = self._all.get(number)
            if delivery is None or delivery.state != "ready" or delivery.rank != rank:
                continue
            batch.append(self._lease(delivery, until))
            if delivery.key and not alone:
                for follower in list(self._lines[delivery.key])[1:]:
                    behind = self._all[follower]
                    if len(batch) == limit or behind.due > now:
                        break
                    batch.append(self._lease(behind, until))
        return batch

    def extend(self, number: int, attempt: int, until: float) -> bool:
        """Move the end of a lease; False when that attempt no longer holds it."""
        delivery = self._all.get(number)
        if delivery is None or delivery.state != "leased" or delivery.attempt != attempt:
            return False
        self._set_timer(delivery, until)
        return True

    def give_back(self, delivery: Delivery, due: float, now: float) -> list[Delivery]:
        """End a lease without an acknowledgement: it may go again at `due`.

        All that were leased behind it in its line come again after it. Gives every delivery that was changed.
        """
        changed = [delivery]
        delivery.due = due
        if not delivery.key:
            self._offer(delivery, now)
            return changed
        line = self._lines[delivery.key]
        place = line.index(delivery.id)
        for number in list(line)[place:]:
            behind = self._all[number]
            if behind.state == "leased" and behind is not delivery:
                behind.due = now
                changed.append(behind)
            behind.state = "behind"
        if place == 0:
            self._offer(delivery, now)
        return changed

    def release(self, delivery: Delivery, now: float) -> None:
        """Look again at a waiting delivery whose `due` was changed."""
        if delivery.state == "waiting":
            self._offer(delivery, now)

    def remove(self, delivery: Delivery, now: float) -> None:
        """Forget a delivery: acknowledged, dead-lettered or too old."""
        del self._all[delivery.id]
        if not delivery.key:
            return
        line = self._lines[delivery.key]
        line.remove(delivery.id)
        if not line:
            del self._lines[delivery.key]
        elif (head := self._all[line[0]]).state == "behind":
            self._offer(head, now)

    def wake(self, now: float) -> list[Delivery]:
        """Make ready what has waited long enough; give the leases that have run out."""
        expired: list[Delivery] = []
        while self._timers and self._timers[0][0] <= now:
            when, number = heappop(self._timers)
            delivery = self._all.get(number)
            if delivery is None or delivery.due != when:
                continue
            if delivery.state == "waiting":
                self._offer(delivery, now)
            elif delivery.state == "leased":
                expired.append(delivery)
        return expired

    def next_time(self) -> float | None:
        """When `wake` next has something to do."""
        while self._timers:
            when, number = self._timers[0]
            delivery = self._all.get(number)
            if delivery is not None and delivery.due == when and delivery.state in ("waiting", "leased"):
                return when
            heappop(self._timers)
        return None

    def _lease(self, delivery: Delivery, until: float) -> Delivery:
        delivery.state = "leased"
        delivery.attempt += 1
        self._set_timer(delivery, until)
        return delivery

    def _offer(self, delivery: Delivery, now: float) -> None:
        if delivery.due > now:
            delivery.state = "waiting"
            self._set_timer(delivery, delivery.due)
        else:
            delivery.state = "ready"
            heappush(self._ready, (delivery.rank, delivery.id))

    def _set_timer(self, delivery: Delivery, when: float) -> None:
        delivery.due = when
        heappush(self._timers, (when, delivery.id))
        # Moved and acknowledged leases leave their old entries behind: clear them before they outnumber the rest.
        if len(self._timers) > 1000 + 4 * len(self._all):
            live = {(item.due, item.id) for item in self._all.values() if item.state in ("waiting", "leased")}
            self._timers = list(live)
            heapify(self._timers)
