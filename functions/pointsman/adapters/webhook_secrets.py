"""The secrets of webhooks: `{"github": ["new", "old"], …}`, in the environment or in a mounted file.

A mounted secret is read at each call: Secret Manager's volume shows a new version without a new instance, so
that a rotation is adding the new secret, switching the sender, and taking the old one away.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pointsman.adapters.endpoints import Settings
from pointsman.errors import Invalid

__all__ = ["read"]

WHERE = "POINTSMAN_WEBHOOK_SECRETS"
REMEDY = 'give {"github": ["new", "old"], …}, or the path of a file that holds it'


def read(settings: Settings) -> Mapping[str, Sequence[str]]:
    """Sender → its secrets, each of which verifies; empty when none are set. Raises Invalid, never quoting them."""
    text = settings.webhook_secrets.strip()
    if not text:
        return {}
    try:
        value = json.loads(text if text.startswith("{") else Path(text).read_text())
    except (ValueError, OSError):
        # Not chained: the error's text quotes what could not be read.
        raise Invalid("the webhooks' secrets cannot be read", where=WHERE, remedy=REMEDY) from None
    if not isinstance(value, dict) or not all(
        isinstance(secrets, list) and all(isinstance(secret, str) for secret in secrets) for secrets in value.values()
    ):
        raise Invalid("the webhooks' secrets are no lists of strings by sender", where=WHERE, remedy=REMEDY)
    return value
