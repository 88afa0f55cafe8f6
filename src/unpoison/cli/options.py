"""What a command is, and the options that several commands have: the same name means the same everywhere."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

ATTACK_NAMES = ("badnets", "blend", "sig", "wanet", "issba", "refool", "composite", "adaptive_blend")
"""Those of `unpoison.attacks.ATTACKS`, without its code."""


class Command(NamedTuple):
    """One command of `unpoison`."""

    name: str
    help: str
    """In the list of all commands."""
    description: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]
    """Does it and shows the result."""


def class_or_all(text: str) -> int | Literal["all-to-all"]:
    """A target: a class number, or "all-to-all"."""
    if text == "all-to-all":
        return "all-to-all"
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a class number nor all-to-all") from error


def seed(text: str) -> int:
    """Any that all of the libraries take, as `unpoison.checks.Seed`, without the time that this takes to import."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0..{2**32 - 1}")
    return int(text)


_SHARED: dict[str, dict[str, Any]] = {
    "root": {
        "type": Path,
        "default": Path("data"),
        "help": "folder of torchvision datasets (default: %(default)s)",
    },
    "image": {"metavar": "COLUMN", "help": "column of a .parquet or .tar file with the image, where there are several"},
    "label": {"metavar": "COLUMN", "help": "column with the label, where there are several"},
    "download": {"action": "store_true", "help": "let torchvision download a missing dataset"},
    "device": {"help": "cpu or cuda (default: an accelerator where there is one)"},
    "seed": {"type": seed, "default": 0, "help": "of everything random (default: %(default)s)"},
    "quiet": {"action": "store_true", "help": "show no progress"},
    "json": {"action": "store_true", "help": "print the result as JSON"},
    "verbose": {"action": "count", "default": 0, "help": "say on stderr what is decided and why; -vv says more"},
}


def add_shared(parser: argparse.ArgumentParser, *names: str, **changes: Any) -> None:
    """Adds options that mean the same in every command; `changes` are further settings of them."""
    for name in names:
        flags = ("-v", "--verbose") if name == "verbose" else (f"--{name}",)
        parser.add_argument(*flags, **{**_SHARED[name], **changes})


def add_source(parser: argparse.ArgumentParser) -> None:
    """SRC, which `unpoison.data.sources.open_source` opens, and its options."""
    parser.add_argument(
        "source",
        metavar="SRC",
        help="folder with one sub-folder of images per class, .parquet or .tar file or a folder of such, or name of a "
        "torchvision dataset",
    )
    add_shared(parser, "root", "download")
