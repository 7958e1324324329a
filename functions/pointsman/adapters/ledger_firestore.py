"""The ledger in Firestore (native mode), by the official client; the emulator by FIRESTORE_EMULATOR_HOST.

A document holds the record's indexed fields, when it was written, and the record itself as JSON text:
Firestore's own maps cannot hold a list in a list, and its indexes would grow with every field.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

from google.api_core import exceptions
from google.api_core.retry import Retry
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from pointsman.core.encoding import decode, encode
from pointsman.core.records import EventRecord, Record
from pointsman.errors import Conflict, Denied, PointsmanError, Unavailable
from pointsman.ports import Saved, Write

__all__ = ["FirestoreLedger"]

R = TypeVar("R", bound=Record)

TIMEOUT_S = 10.0
# Bounded: the client's default goes on long past the timeout of one call.
RETRY = Retry(initial=0.2, maximum=2.0, timeout=TIMEOUT_S)
RECORD_BYTES_MAX = 256 * 1024


class FirestoreLedger:
    """`ports.Ledger` in database `database` of `project`."""

    def __init__(self, project: str, database: str) -> None:
        self._client = firestore.Client(project=project, database=database)

    def read(self, kind: type[R], key: str) -> Saved[R] | None:
        with _translated(f"{kind.collection}/{key}"):
            found = self._document(kind.collection, key).get(retry=RETRY, timeout=TIMEOUT_S)
        return _saved(kind, found) if found.exists else None

    def save(self, writes: Sequence[Write], unchanged: Sequence[Saved[Any]] = ()) -> None:
        held: dict[str, tuple[Record, str | None]] = {}
        for saved in unchanged:
            held[_path(saved.record)] = (saved.record, saved.version)
        for write in writes:
            held[_path(write.record)] = (write.record, write.over.version if write.over else None)

        def body(transaction: firestore.Transaction) -> None:
            references = [self._document(record.collection, record.key) for record, _ in held.values()]
            present = {
                found.reference.path: found
                for found in self._client.get_all(references, transaction=transaction, retry=RETRY, timeout=TIMEOUT_S)
            }
            for path, (record, version) in held.items():
                found = present[path]
                if (_version(found) if found.exists else None) != version:
                    raise _lost(record)
            for write in writes:
                transaction.set(self._document(write.record.collection, write.record.key), _fields(write.record))

        self._in_transaction(body, writes[0].record if writes else unchanged[0].record)

    def find(self, kind: type[R], where: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[Saved[R]]:
        query: Any = self._client.collection(kind.collection)
        for name, value in (where or {}).items():
            if name not in kind.indexed:
                raise AssertionError(f"{kind.__name__}.{name} is not indexed")
            query = query.where(filter=FieldFilter(name, "==", value))
        query = query.order_by("written_at", direction=firestore.Query.DESCENDING).limit(limit)
        with _translated(kind.collection):
            return [_saved(kind, found) for found in query.stream(retry=RETRY, timeout=TIMEOUT_S)]

    def delete(self, saved: Saved[Any]) -> None:
        record: Record = saved.record
        reference = self._document(record.collection, record.key)

        def body(transaction: firestore.Transaction) -> None:
            (found,) = self._client.get_all([reference], transaction=transaction, retry=RETRY, timeout=TIMEOUT_S)
            if not found.exists:
                return
            if _version(found) != saved.version:
                raise _lost(record)
            transaction.delete(reference)

        self._in_transaction(body, record)

    def _document(self, collection: str, key: str) -> Any:
        # A key may hold slashes, which in Firestore part collections from documents.
        return self._client.collection(collection).document(quote(key, safe=""))

    def _in_transaction(self, body: Callable[[firestore.Transaction], None], record: Record) -> None:
        with _translated(f"{record.collection}/{record.key}"):
            # One attempt: who lost reads again and decides again, which a blind repeat would not.
            firestore.transactional(body)(self._client.transaction(max_attempts=1))


def _fields(record: Record) -> dict[str, object]:
    text = json.dumps(encode(record), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > RECORD_BYTES_MAX:
        raise AssertionError(f"{_path(record)} is larger than {RECORD_BYTES_MAX} bytes")
    fields: dict[str, object] = {name: getattr(record, name) for name in record.indexed}
    if isinstance(record, EventRecord):
        fields["expires_at"] = record.expires_at  # the field of the collection's TTL policy
    return {**fields, "written_at": firestore.SERVER_TIMESTAMP, "record": text.encode()}


def _saved(kind: type[R], found: Any) -> Saved[R]:
    return Saved(decode(kind, json.loads(found.get("record"))), _version(found))


def _version(found: Any) -> str:
    return str(found.update_time.rfc3339())


def _path(record: Record) -> str:
    return f"{record.collection}/{quote(record.key, safe='')}"


def _lost(record: Record) -> Conflict:
    return Conflict("somebody wrote it first", where=f"{record.collection}/{record.key}", remedy="read it again")


@contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except PointsmanError:
        raise
    except (exceptions.GoogleAPICallError, exceptions.RetryError, ValueError) as raised:
        error = _cause(raised)
        if isinstance(error, (exceptions.Aborted, exceptions.FailedPrecondition, exceptions.AlreadyExists)):
            raise Conflict("somebody wrote it first", where=where, remedy="read it again") from error
        if isinstance(error, (exceptions.PermissionDenied, exceptions.Unauthenticated)):
            remedy = "grant roles/datastore.user"
            raise Denied(f"Firestore refused: {error.message}", where=where, remedy=remedy) from error
        if not isinstance(error, ValueError):
            raise Unavailable(f"Firestore does not answer: {error}", where=where) from error
        if "Failed to commit transaction" in str(error):
            raise Conflict("somebody wrote it first", where=where, remedy="read it again") from error
        raise


def _cause(raised: Exception) -> Exception:
    """Why a transaction did not begin, where the client says only that it cannot roll back what did not."""
    hidden = raised.__context__
    return hidden if isinstance(raised, ValueError) and isinstance(hidden, exceptions.GoogleAPICallError) else raised
