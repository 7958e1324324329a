"""The table of variables in `docs/google-cloud.md`, made from the module's own files between two comments."""

import re

from tools.terraform_standin.cache import ROOT

__all__ = ["PAGE", "tables", "write_tables"]

PAGE = ROOT / "docs" / "google-cloud.md"
MARKS = ("<!-- variables -->", "<!-- /variables -->")
_BLOCK = re.compile(r'^variable "(\w+)" \{$(.*?)^\}$', re.S | re.M)
_ARGUMENT = re.compile(r"^  (description|default|type) += (.*?)(?=^  \w|^\n|\Z)", re.S | re.M)


def table(variables: str) -> str:
    """A row a variable of a `variables.tf`: name, type, default, what it is for."""
    rows = ["| variable | type | default | what it is |", "|---|---|---|---|"]
    for name, body in _BLOCK.findall(variables):
        said = {key: " ".join(value.split()) for key, value in _ARGUMENT.findall(body)}
        default = f"`{said['default']}`" if "default" in said else "required"
        kind = said["type"].partition("(")[0] if said["type"].startswith("object") else said["type"]
        rows.append(f"| `{name}` | `{kind}` | {default} | {said['description'].strip(chr(34))} |")
    return "\n".join(rows)


def tables(page: str, variables: str) -> str:
    """The page with its table made anew from the text of `variables.tf`."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{table(variables)}\n{MARKS[1]}{after}"


def write_tables() -> None:
    PAGE.write_text(tables(PAGE.read_text(), (ROOT / "bootstrap" / "terraform" / "variables.tf").read_text()))
