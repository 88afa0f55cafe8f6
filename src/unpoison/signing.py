"""Who made a cleaned set or a restorer: signatures in the format of the program `minisign`.

What is signed is the list of checksums, and so every file that it lists.
"""

import re
from pathlib import Path

from .checks import AnyPath, checked
from .data.checksums import SUMS, Checked
from .data.files import MAX_SIGNATURE, SIGNATURE, publish_bytes
from .data.reading import read_bytes
from .errors import ConfigError, DamagedError, MissingExtraError, SignatureError

try:
    import minisign
except ImportError as error:
    raise MissingExtraError("signatures need py-minisign: pip install 'unpoison[sign]'") from error

_MAX_KEY = 1 << 12
"""Bytes."""
_PUBLIC_KEY = re.compile(r"RW[A-Za-z0-9+/]{54}")


@checked
def sign(folder: AnyPath, key: AnyPath, *, password: str | None = None) -> list[Path]:
    """Signs a cleaned set, a restorer or a report: all that is read of it, once that is found to be whole.

    Pages and `README.md`, which people may change, are not signed. Writing into the folder again removes the signature.

    Args:
        folder: what `Sanitizer.export`, `unpoison clean`, `Restorer.save_pretrained` or `Report.save` wrote.
        key: file with the secret key, as `minisign -G` makes it.
        password: of the key, where it has one.

    Returns:
        The signatures: `SHA256SUMS.minisig` in the folder, and in its `restorer/`, which can be handed on alone.

    Raises:
        DamagedError: a file is missing or not what was written.
        ConfigError: the key cannot be read, the password is not its, or the folder cannot be written.
    """
    folder, secret = Path(folder), _secret_key(Path(key))
    if secret.is_encrypted():
        if password is None:
            raise ConfigError(f"the key {key} is protected: give its password")
        try:
            secret.decrypt(password)
        except minisign.Error as error:
            raise ConfigError(f"the key {key} cannot be used ({error}): give its password") from error
    lists = [folder / SUMS, *sorted(folder.glob(f"*/{SUMS}"))]
    for path in lists:
        Checked(path.parent).check_all()
    signatures = [path.with_name(SIGNATURE) for path in lists]
    for path, signature in zip(lists, signatures, strict=True):
        try:
            publish_bytes(signature, bytes(secret.sign(path.read_bytes())) + b"\n")
        except OSError as error:
            raise ConfigError(f"cannot write {signature} ({error}): choose another folder") from error
    return signatures


def needs_password(key: Path) -> bool:
    """Whether a file holds a secret key that is protected by a password.

    Raises:
        ConfigError: it holds none.
    """
    return _secret_key(key).is_encrypted()


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
            f"{path} is no signature of {SUMS} with the key {signed_by} ({error}): get both anew, and the key from "
            "whom you trust"
        ) from error


def _secret_key(path: Path) -> minisign.SecretKey:
    try:
        return minisign.SecretKey.from_bytes(read_bytes(path, _MAX_KEY))
    except (DamagedError, ValueError) as error:
        raise ConfigError(
            f"{path} is no secret key of minisign ({_reason(error)}): make one with `minisign -G`"
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
