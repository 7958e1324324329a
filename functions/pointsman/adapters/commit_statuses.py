"""A notice as the status of its commit, on GitHub or GitLab: what became of a push is read where it was pushed.

Which of the two a repository is on is told by its host's name: `github.com`, `github.…` (Enterprise Server) or any
host named `gitlab`. Others have no statuses.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pointsman.adapters.endpoints import Settings
from pointsman.adapters.posting import Poster
from pointsman.core.notices import Notice, NoticeKind
from pointsman.errors import Invalid
from pointsman.ports import Secrets

__all__ = ["CommitStatuses", "available", "connect", "forge_of"]

PENDING, GOOD, BAD, REPLACED = "pending", "success", "failure", "error"
STATES: Mapping[NoticeKind, str] = {
    "ApprovalNeeded": PENDING,
    "RolloutStarted": PENDING,
    "RolloutHeld": PENDING,
    "RolloutPromoted": GOOD,
    "RolloutRolledBack": BAD,
    "RolloutFailed": BAD,
    "DocumentsRefused": BAD,
}
"""Notices that say something of a commit; the others are no status."""

GITHUB_DESCRIPTION_MAX = 140
GITLAB_DESCRIPTION_MAX = 255
_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!/)(.+)")  # git@host:owner/name.git
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Forge:
    """Where a repository's API is: `api` without a slash at its end, `path` as in the repository's URL."""

    kind: str
    host: str
    api: str
    path: str


class CommitStatuses:
    """Statuses of one repository's commits; those of another's are not written: the token is this one's."""

    def __init__(self, forge: Forge, token: str, poster: Poster) -> None:
        self._forge = forge
        self._token = token
        self._poster = poster

    def send(self, notice: Notice) -> None:
        """One status a service, named `pointsman/<service>`, which the next one replaces.

        Raises Denied, Absent, Invalid, Unavailable.
        """
        state = STATES.get(notice.notice)
        if notice.notice == "RolloutRolledBack" and notice.state == "promoted":
            state = GOOD  # a pushed revert, which is what this commit asked for
        if notice.state == "superseded":
            state = REPLACED  # no fault of the commit's, but it will not be served
        if state is None or not notice.commit or not _COMMIT.fullmatch(notice.commit):
            return
        if notice.repository is not None and not _same(self._forge, forge_of(notice.repository)):
            return
        name = f"pointsman/{notice.service}" if notice.service else "pointsman"
        target = notice.url if notice.url and notice.url.startswith(("https://", "http://")) else ""
        if self._forge.kind == "github":
            self._github(notice.commit, state, name, notice.title, target)
        else:
            self._gitlab(notice.commit, state, name, notice.title, target)

    def _github(self, commit: str, state: str, name: str, title: str, target: str) -> None:
        """https://docs.github.com/rest/commits/statuses#create-a-commit-status"""
        body = {"state": state, "context": name, "description": _cut(title, GITHUB_DESCRIPTION_MAX)}
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        url = f"{self._forge.api}/repos/{quote(self._forge.path)}/statuses/{commit}"
        self._post(url, {**body, "target_url": target} if target else body, headers)

    def _gitlab(self, commit: str, state: str, name: str, title: str, target: str) -> None:
        """https://docs.gitlab.com/api/commits/#set-commit-pipeline-status

        GitLab answers 400 where the status is what it was, which a notice that comes twice makes it.
        """
        words = {PENDING: "running", GOOD: "success", BAD: "failed", REPLACED: "canceled"}
        body = {"state": words[state], "name": name, "description": _cut(title, GITLAB_DESCRIPTION_MAX)}
        headers = {"PRIVATE-TOKEN": self._token, "Content-Type": "application/json"}
        url = f"{self._forge.api}/projects/{quote(self._forge.path, safe='')}/statuses/{commit}"
        self._post(url, {**body, "target_url": target} if target else body, headers, fine=(400,))

    def _post(
        self, url: str, body: Mapping[str, str], headers: Mapping[str, str], *, fine: tuple[int, ...] = ()
    ) -> None:
        self._poster.post("commit status", url, json.dumps(body).encode(), headers, fine=fine)


def available(settings: Settings) -> bool:
    """Whether the config repository's host has statuses, and there is a token to write them with."""
    return forge_of(settings.repository) is not None and bool(settings.repository_token)


def connect(settings: Settings, secrets: Secrets) -> CommitStatuses:
    """Statuses of the config repository. Raises Invalid where none are `available`; what reading a secret raises."""
    forge = forge_of(settings.repository)
    if forge is None or not settings.repository_token:
        raise Invalid("the repository's host has no commit statuses, or there is no token", where=settings.repository)
    return CommitStatuses(forge, secrets.read(settings.repository_token), Poster())


def forge_of(repository: str) -> Forge | None:
    """Whose API a repository (clone URL, `git@host:path`, or `//host/path`) has; None: nobody's that is known."""
    scp = _SCP.fullmatch(repository) if "://" not in repository else None
    if scp is not None:
        host, path = scp.groups()
    else:
        try:
            parts = urlsplit(repository)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return None
    host, path = host.lower(), path.strip("/").removesuffix(".git")
    if path.count("/") < 1:
        return None
    if host == "github.com":
        return Forge("github", host, "https://api.github.com", path)
    if host.startswith("github."):
        return Forge("github", host, f"https://{host}/api/v3", path)
    if "gitlab" in host.split("."):
        return Forge("gitlab", host, f"https://{host}/api/v4", path)
    return None


def _same(one: Forge, other: Forge | None) -> bool:
    return other is not None and (one.host, one.path.lower()) == (other.host, other.path.lower())


def _cut(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
