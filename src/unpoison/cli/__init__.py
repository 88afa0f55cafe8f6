"""The command line, one file per command. Exit codes: 0 done, 1 failed, 2 misused, 130 interrupted.

Results go to stdout, everything else to stderr. Heavy libraries are imported by the command that runs, not before.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

import argcomplete

from .. import __version__
from ..errors import ConfigError, UnpoisonError
from ..plugins import load, unusable
from ..printable import printable
from . import attack, cache, clean, compare, demo, pull, push, report, sign
from .options import Command, add_shared
from .streams import logging_to_stderr, quiet_when_unread

_OWN = (demo, clean, report, compare, attack, sign, push, pull, cache)
ENTRY_POINTS = "unpoison.commands"
"""The group in which other packages name a `Command` of theirs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` (the process's own arguments when None); returns the exit code."""
    parser = _parser()
    argcomplete.autocomplete(parser)  # ends the process where a shell asks
    with quiet_when_unread():
        arguments = parser.parse_args(argv)
    with logging_to_stderr(arguments.verbose):
        try:
            arguments.run(arguments)
        except UnpoisonError as error:
            _complain(str(error))
            return 2 if isinstance(error, ConfigError) else 1
        except KeyboardInterrupt as interrupt:
            _complain("; ".join(["interrupted", *getattr(interrupt, "__notes__", [])]))
            return 130
    return 0


def commands_at_hand() -> list[Command]:
    """Our own, and those of other packages that are installed; one that cannot be used keeps nobody from the others."""
    commands = [module.COMMAND for module in _OWN]
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            command = load(entry)
            if not isinstance(command, Command) or command.name in {other.name for other in commands}:
                raise unusable(entry, f"{entry.value} is no Command, or of a name that is taken")
        except ConfigError as error:
            _complain(str(error))
            continue
        commands.append(command)
    return commands


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="unpoison", description="Clean poisoned image datasets.")
    parser.add_argument("--version", action="version", version=f"unpoison {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands_at_hand():
        inner = commands.add_parser(
            command.name, help=command.help, description=command.description, epilog=f"example: {command.example}"
        )
        # Where nothing is logged there is no --verbose.
        inner.set_defaults(run=command.run, verbose=0)
        command.add_arguments(inner)
        add_shared(inner, "json")
    return parser


def _complain(message: str) -> None:
    print(f"unpoison: {printable(message)}", file=sys.stderr)
