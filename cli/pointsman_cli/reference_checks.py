"""`docs/reference/checks.md`: what `pointsman bootstrap doctor` looks at, from the checks themselves."""

from pointsman_cli.bootstrap.examining import CHECKS, PERIMETER

__all__ = ["checks"]

_HEAD = """\
# Checks

Made by `python -m pointsman_cli.generate`: do not edit.

`pointsman bootstrap doctor` makes these, in this order; what is looked at `before` apply is looked at after it, too.
Each gives at least one finding: `ok`, `warn`, `fail`, or `unknown` where something may not be read or does not answer.
All but the first come with the command that mends it; that of `unknown` lets you look. Nothing is changed: every call
is a GET, a test of permissions, a question about access, or an unsigned call of the receiver.

| check | looked at | is well when |
|---|---|---|
"""


def checks() -> str:
    """The page."""
    rows = [f"| `{check.id}` | {check.stage} | {check.good} |" for check in CHECKS]
    rows.append(f"| `{PERIMETER}` | before | nothing was refused by a perimeter; said only where something was |")
    return _HEAD + "\n".join(rows) + "\n"
