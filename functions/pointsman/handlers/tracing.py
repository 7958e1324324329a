"""Where in a trace a step of a workflow belongs: below its rollout, in the trace of what led to that."""

from pointsman.core.records import PoolRecord, RolloutRecord
from pointsman.core.traces import pool_trace, rollout_trace
from pointsman.ports import Ledger

__all__ = ["place_in_trace"]


def place_in_trace(ledger: Ledger, *, rollout: str = "", pool: str = "", execution: str = "") -> tuple[str, str]:
    """Ids of the trace and of the span above. One read more: asked for only where spans are sent."""
    if rollout:
        saved = ledger.read(RolloutRecord, rollout)
        return (rollout_trace(saved.record), rollout) if saved is not None else ("", "")
    found = ledger.read(PoolRecord, pool)
    record = found.record if found is not None else PoolRecord(name=pool)
    return pool_trace(pool, record.token + (record.execution != execution)), ""  # a claim is the first of its token
