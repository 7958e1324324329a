"""The ledger that the environment names: SQLite on a laptop, Firestore in the cloud."""

from pointsman.adapters.endpoints import Settings
from pointsman.errors import Invalid
from pointsman.ports import Ledger

__all__ = ["connect"]


def connect(settings: Settings) -> Ledger:
    """Open `settings.ledger`. Raises Invalid for anything but `sqlite:///ABSOLUTE/PATH` or `firestore:DATABASE`."""
    scheme, _, rest = settings.ledger.partition(":")
    if scheme == "sqlite" and rest.startswith("///"):
        from pointsman.adapters.ledger_sqlite import SQLiteLedger

        return SQLiteLedger(rest[2:])
    if scheme == "firestore" and rest:
        from pointsman.adapters.ledger_firestore import FirestoreLedger

        return FirestoreLedger(settings.project, rest)
    raise Invalid(
        f"{settings.ledger!r} is no ledger",
        where="POINTSMAN_LEDGER",
        remedy="use sqlite:///ABSOLUTE/PATH or firestore:DATABASE",
    )
