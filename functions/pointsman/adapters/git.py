"""Config repositories by git's own protocol: heads, and the files of one commit (a shallow fetch into memory)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import urllib3
from dulwich.client import HTTPUnauthorized, get_transport_and_path
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Commit as CommitObject
from dulwich.objects import ObjectID
from dulwich.repo import MemoryRepo

from pointsman.adapters.endpoints import Settings
from pointsman.core.names import Commit
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable
from pointsman.ports import Source

__all__ = ["connect"]

TIMEOUT_S = 10.0
FILE_BYTES_MAX = 512 * 1024
FILES_MAX = 5_000
# GitHub and GitLab take any user name beside a token.
USER = "x-access-token"


def connect(settings: Settings, token: Callable[[str], str]) -> Source:
    """A source whose token is the secret `settings.repository_token`, read by `token` at each call."""
    name = settings.repository_token
    return _Git((lambda: token(name)) if name else (lambda: None))


class _Git:
    def __init__(self, token: Callable[[], str | None]) -> None:
        self._token = token

    def heads(self, repository: str) -> Mapping[str, Commit]:
        prefix = b"refs/heads/"
        with _translated(repository):
            client, path = self._client(repository)
            refs = client.get_refs(path.encode()).refs
        return {
            name.removeprefix(prefix).decode(): Commit(sha.decode())
            for name, sha in refs.items()
            if sha is not None and name.startswith(prefix)
        }

    def files(self, repository: str, commit: Commit) -> Mapping[str, bytes]:
        sha = ObjectID(commit.encode())

        def wants(refs: Mapping[bytes, ObjectID | None], depth: int | None = None) -> list[ObjectID]:
            return [sha]

        store = MemoryRepo()
        with _translated(repository):
            client, path = self._client(repository)
            client.fetch(path, store, determine_wants=wants, depth=1)
        found = store[sha]
        if not isinstance(found, CommitObject):
            raise Absent(f"{commit} is no commit", where=repository)
        files: dict[str, bytes] = {}
        for entry in iter_tree_contents(store.object_store, found.tree):
            name = (entry.path or b"").decode("utf-8", "replace")
            if not name.endswith((".yaml", ".yml")) or entry.sha not in store.object_store:
                continue  # a submodule's commit is not in the store
            if len(files) == FILES_MAX:
                raise Invalid(
                    f"more than {FILES_MAX} YAML files at {commit}",
                    where=repository,
                    remedy="move documents into fewer files, or into a repository of their own",
                )
            # Cut just past the limit: the loader then names the file, its line and the remedy.
            files[name] = store[entry.sha].as_raw_string()[: FILE_BYTES_MAX + 1]
        return files

    def _client(self, repository: str):  # type: ignore[no-untyped-def]  # dulwich: GitClient, of three kinds
        token = self._token()
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False)
        return get_transport_and_path(
            repository, username=USER if token else None, password=token, pool_manager=pool, quiet=True
        )


@contextmanager
def _translated(repository: str) -> Iterator[None]:
    try:
        yield
    except PointsmanError:
        raise
    except HTTPUnauthorized as error:
        raise Denied(
            "the repository refused the token",
            where=repository,
            remedy="renew the secret POINTSMAN_REPOSITORY_TOKEN names",
        ) from error
    except NotGitRepository as error:
        raise Absent("there is no such repository", where=repository, remedy="see POINTSMAN_REPOSITORY") from error
    except (GitProtocolError, urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(f"the repository does not answer: {type(error).__name__}", where=repository) from error
