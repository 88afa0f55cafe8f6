"""Who made a cleaned set or a restorer: signatures in the format of the program `minisign`.

What is signed is the list of checksums, and so every file that it lists.
"""

from pathlib import Path

from .checks import AnyPath, checked
from .data.checksums import SUMS, Checked
from .data.files import SIGNATURE, publish_bytes
from .data.signatures import secret_key, unlocked_key
from .errors import ConfigError


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
    folder, secret = Path(folder), unlocked_key(Path(key), password)
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
    return secret_key(key).is_encrypted()
