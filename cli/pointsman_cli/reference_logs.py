"""`docs/reference/logs.md`: every line of the log with its fields, from `core.log_lines`."""

from pointsman.core.log_lines import ENVELOPE, FIELDS, LINES

__all__ = ["logs"]

_HEAD = """\
# Logs

Made by `python -m pointsman_cli.generate` from `functions/pointsman/core/log_lines.py`: do not edit.

Every function writes one JSON object a line to stdout, which Cloud Logging takes apart. A line is an event with
fields: filter by `jsonPayload.event="verdict"`, count and plot by fields. No header, no payload and no secret is in it.
A field marked `?` is left out where there is nothing to say. What a rollout or a pool decides is written once it is
saved, so a decision that lost its compare-and-set is not in the log.

## In every line

| field | meaning |
|---|---|
"""


def logs() -> str:
    """The page. Raises KeyError for a field that nothing is said of."""
    parts = [_HEAD + "\n".join(f"| `{name}` | {meaning} |" for name, meaning in ENVELOPE.items())]
    parts.append("\n## Events\n\n| event | severity | written when | fields |\n|---|---|---|---|")
    for line in LINES:
        fields = ", ".join(f"`{name}`" for name in line.fields)
        parts.append(f"| `{line.event}` | {line.severity} | {line.when} | {fields} |")
    used = sorted({name for line in LINES for name in line.names()})
    parts.append("\n## Fields\n\n| field | meaning |\n|---|---|")
    parts += [f"| `{name}` | {FIELDS[name]} |" for name in used]
    return "\n".join([*parts, ""])
