"""Service accounts: that each is there, has no key, holds what it needs in the project, and nothing wide."""

from collections.abc import Iterator, Sequence

from pointsman_cli.bootstrap.checks.deployed import APPLY
from pointsman_cli.bootstrap.finding import Check, Finding, each, fail, warn
from pointsman_cli.bootstrap.site import Site, member

__all__ = ["CHECKS", "is_wide"]

_WIDE = {"roles/owner", "roles/editor", "roles/viewer", "roles/container.developer", "roles/datastore.owner"}


def is_wide(role: str) -> bool:
    """Whether a role holds far more than any of pointsman's accounts needs."""
    return role in _WIDE or role.lower().endswith("admin")


def _accounts(site: Site) -> Iterator[Finding]:
    def look(name: str) -> Iterator[Finding]:
        email = site.email(name)
        account = site.google.find(f"iam.googleapis.com/v1/projects/{site.project}/serviceAccounts/{email}")
        if account is None:
            yield fail(email, "there is no such account", APPLY)
        elif account.get("disabled"):
            command = f"gcloud iam service-accounts enable {email} --project={site.project}"
            yield fail(email, "it is disabled", command)

    yield from each(site.estate.everybody, look, site.email)


def _keys(site: Site) -> Iterator[Finding]:
    def look(name: str) -> Iterator[Finding]:
        email = site.email(name)
        url = f"iam.googleapis.com/v1/projects/{site.project}/serviceAccounts/{email}/keys"
        for key in (site.google.find(url, {"keyTypes": "USER_MANAGED"}) or {}).get("keys") or ():
            number = str(key["name"]).rpartition("/")[2]
            command = f"gcloud iam service-accounts keys delete {number} --iam-account={email} --project={site.project}"
            yield fail(email, f"it has a key, {number}, and nothing of pointsman uses one", command)

    yield from each(site.estate.everybody, look, site.email)


def _wide(site: Site) -> Iterator[Finding]:
    ours = {member(site.email(name)): site.email(name) for name in site.estate.everybody}
    for binding in site.policy():
        role = str(binding["role"])
        for who in binding.get("members", ()):
            if who in ours and is_wide(role):
                command = f"gcloud projects remove-iam-policy-binding {site.project} --member={who} --role={role}"
                yield fail(ours[who], f"it holds {role}, far more than it needs", command)


def _rights(site: Site) -> Iterator[Finding]:
    """Permissions in the project, against what the topology's rights stand for."""
    settings = site.settings()
    pools = settings.get("POINTSMAN_POOLS") or "observe"
    gateway = bool(settings.get("POINTSMAN_CONNECT_GATEWAY"))

    def look(holder: tuple[str, Sequence[str]]) -> Iterator[Finding]:
        name, may = holder
        traced = site.settings(name).get("POINTSMAN_TRACES") == "google"
        listened = [right for right in may if right != "registry" or site.vertex_ai()]
        needed = site.rights.permissions([*listened, *(["trace"] if traced else [])], pools, gateway=gateway)
        roles = [role for role in site.roles(site.email(name)) if not is_wide(role)]  # which `account-roles` tells of
        held = {one for role in roles for one in site.permissions(role)}
        if missing := sorted(needed - held):
            yield fail(site.email(name), f"in the project it lacks {', '.join(missing)}", APPLY)
        if surplus := sorted(held - needed):
            command = f"gcloud projects get-iam-policy {site.project} --flatten=bindings[].members"
            command += f" --filter=bindings.members:{site.email(name)} --format='value(bindings.role)'"
            yield warn(site.email(name), f"it needs none of {_few(surplus)}", command)

    yield from each(site.estate.holders, look, lambda holder: site.email(holder[0]))


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


CHECKS = (
    Check("accounts", "after", "each function, workflow and carrier has its own", _accounts),
    Check("account-keys", "after", "none has a key", _keys),
    Check("account-roles", "after", "none holds a wide role", _wide),
    Check("account-rights", "after", "each has in the project what it needs, and no more", _rights),
)
