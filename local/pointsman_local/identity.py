"""Who calls: identity tokens as Google signs them, by a key that belongs to one local cloud.

RS256 tokens with `iss`, `aud`, `email`, `email_verified`, `iat`, `exp`, so that what checks them runs as it does
on Cloud Run. The key lies in the data directory, readable by its owner alone.
"""

import os
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["Identity", "account"]

ISSUER = "https://accounts.google.com"
LIFETIME_S = 3600


def account(name: str, project: str) -> str:
    """The email of a function's or workflow's service account: `pointsman-<name with dashes>@…`."""
    return f"pointsman-{name.replace('_', '-')}@{project}.iam.gserviceaccount.com"


class Identity:
    """Signs and checks identity tokens of one local cloud. Time (Unix seconds) comes in from the caller."""

    def __init__(self, data: Path) -> None:
        path = data / "identity" / "key.pem"
        if not path.exists():
            _create(path)
        # Every process of a local cloud loads this key, and OpenSSL takes 0.1 s of CPU to prove two primes prime
        # that were drawn here. Tokens are signed with the loaded key for the same reason.
        key = serialization.load_pem_private_key(path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._private = key
        self._public = key.public_key()

    def token(self, email: str, audience: str, now: float, *, lifetime_s: int = LIFETIME_S) -> str:
        """An identity token for `email`, good for `audience` and `lifetime_s`."""
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "azp": email,
            "sub": email,
            "email": email,
            "email_verified": True,
            "iat": int(now),
            "exp": int(now) + lifetime_s,
        }
        return jwt.encode(claims, self._private, algorithm="RS256")

    def email(self, token: str, audience: str, now: float) -> str | None:
        """Whose token it is; None when signature, audience or time do not hold."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                audience=audience,
                issuer=ISSUER,
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            return None
        if not (isinstance(claims.get("exp"), int) and claims["exp"] > now and claims.get("email_verified") is True):
            return None
        return str(claims["email"])


def _create(path: Path) -> None:
    """Write a new key; of two processes that start at once, the first to link it into place wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
