"""Signatures in the format of the program `minisign`: the keys, and whether a signature is good."""

import re
from pathlib import Path

from ..errors import ConfigError, DamagedError, MissingExtraError, SignatureError
from .files import MAX_SIGNATURE
from .reading import read_bytes

try:
    import minisign
except ImportError as error:
    raise MissingExtraError("signatures need py-minisign: pip install 'unpoison[sign]'") from error

_MAX_KEY = 1 << 12
"""Bytes."""
_PUBLIC_KEY = re.compile(r"RW[A-Za-z0-9+/]{54}")


def secret_key(path: Path) -> minisign.SecretKey:
    """The secret key in a file, which may be protected by a password.

    Raises:
        ConfigError: it holds none.
    """
    try:
        return minisign.SecretKey.from_bytes(read_bytes(path, _MAX_KEY))
    except (DamagedError, ValueError) as error:
        raise ConfigError(
            f"{path} is no secret key of minisign ({_reason(error)}): make one with `minisign -G`"
        ) from error


def unlocked_key(path: Path, password: str | None) -> minisign.SecretKey:
    """The secret key in a file, ready to sign.

    Args:
        path: of the file.
        password: of the key, where it has one.

    Raises:
        ConfigError: the file holds no key, or the password is not its.
    """
    secret = secret_key(path)
    if secret.is_encrypted():
        if password is None:
            raise ConfigError(f"the key {path} is protected: give its password")
        try:
            secret.decrypt(password)
        except minisign.Error as error:
            raise ConfigError(f"the key {path} cannot be used ({error}): give its password") from error
    return secret


def check_signature(path: Path, signed: bytes, signed_by: str | Path) -> None:
    """Makes sure that a file holds a signature of some bytes.

    Args:
        path: of the signature.
        signed: what was signed.
        signed_by: the public key, "RW...", or a file with it.

    Raises:
        SignatureError: there is none, or it is of other bytes or by another key.
        ConfigError: `signed_by` is no key.
    """
    key = _public_key(signed_by)
    if not path.exists():
        raise SignatureError(
            f"{path} is missing, so nobody signed what lies there: get a signed one, or leave signed_by out"
        )
    try:
        key.verify(signed, minisign.Signature.from_bytes(read_bytes(path, MAX_SIGNATURE)))
    except ValueError as error:
        raise SignatureError(
            f"{path} is no signature of {path.stem} with the key {signed_by} ({error}): get both anew, and the key "
            "from whom you trust"
        ) from error


def _public_key(signed_by: str | Path) -> minisign.PublicKey:
    try:
        if isinstance(signed_by, str) and _PUBLIC_KEY.fullmatch(signed_by):
            return minisign.PublicKey.from_base64(signed_by)
        return minisign.PublicKey.from_bytes(read_bytes(Path(signed_by), _MAX_KEY))
    except (DamagedError, ValueError) as error:
        raise ConfigError(
            f"signed_by={str(signed_by)!r} is neither a public key of minisign, RW..., nor a file with one "
            f"({_reason(error)})"
        ) from error


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, DamagedError) else str(error)
