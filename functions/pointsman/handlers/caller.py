"""Who calls: the email of the identity token that was checked before the request came here.

Cloud Run checks signature, audience and expiry of the token, and IAM whether its account may invoke the service;
it then cuts the signature off ("Troubleshoot Cloud Run", SIGNATURE_REMOVED_BY_GOOGLE), so that it cannot be checked
again here. Nothing else in a request says who calls.
"""

import base64
import binascii
import json
from collections.abc import Mapping

from pointsman.errors import Denied

__all__ = ["email_of"]

# Where both are there Cloud Run checks only this one, and the other may say anything.
SERVERLESS = "x-serverless-authorization"


def email_of(headers: Mapping[str, str]) -> str:
    """The caller's verified email, in lower case. Raises Denied when the token names none, or two tokens came."""
    lower = {name.lower(): value for name, value in headers.items()}
    given = [lower[name] for name in ("authorization", SERVERLESS) if lower.get(name)]
    if len(given) != 1:
        raise Denied("one identity token is needed", where="Authorization", remedy="gcloud auth print-identity-token")
    scheme, _, token = given[0].partition(" ")
    claims = _claims(token.strip()) if scheme.casefold() == "bearer" else {}
    email = claims.get("email")
    if not isinstance(email, str) or not email or claims.get("email_verified") is not True:
        raise Denied("the identity token names no verified email", where="Authorization")
    return email.lower()


def _claims(token: str) -> Mapping[str, object]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
