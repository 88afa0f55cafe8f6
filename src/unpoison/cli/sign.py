"""`unpoison sign`: says who made a cleaned set or a restorer."""

import argparse
from getpass import getpass
from pathlib import Path

from .options import Command
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what `unpoison clean` wrote, or a restorer")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="the secret key, of `minisign -G`")


def run(arguments: argparse.Namespace) -> None:
    from ..errors import ConfigError
    from ..signing import needs_password, sign

    try:
        password = getpass(f"password of {arguments.key}: ") if needs_password(arguments.key) else None
    except EOFError as error:
        raise ConfigError(f"the key {arguments.key} is protected: give its password") from error
    written = [str(path) for path in sign(arguments.folder, arguments.key, password=password)]
    show(arguments, "\n".join(written), {"signatures": written})


COMMAND = Command(
    name="sign",
    help="sign a cleaned set or a restorer",
    description="Checks the files in FOLDER and signs the list of their checksums, as SHA256SUMS.minisig, which "
    "`minisign -Vm SHA256SUMS -p minisign.pub` verifies. Asks for the password of the key, where it has one.",
    example="unpoison sign cleaned/ --key minisign.key",
    add_arguments=add_arguments,
    run=run,
)
