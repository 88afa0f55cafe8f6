"""`unpoison pull`: a restorer from the Hugging Face Hub."""

import argparse
from pathlib import Path

from .options import Command, add_shared
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="ID", help="user/name or user/name@revision on the Hub")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder to write to")
    add_shared(parser, "quiet", "verbose")


def run(arguments: argparse.Namespace) -> None:
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    from ..data.outputs import check_replaceable, replacing_folder
    from ..restoration import Restorer

    check_replaceable(arguments.folder)
    if arguments.quiet:
        disable_progress_bars()
    restorer = Restorer.from_pretrained(arguments.repo)
    with replacing_folder(arguments.folder) as new:
        restorer.save_pretrained(new)
    facts = {"folder": str(arguments.folder), "origin": restorer.origin}
    show(arguments, f"{restorer.origin}: {arguments.folder}", facts)


COMMAND = Command(
    name="pull",
    help="fetch a restorer from the Hugging Face Hub",
    description="Fetches the restorer ID, checks it and writes it into FOLDER.",
    example="unpoison pull user/name@main restorer/",
    add_arguments=add_arguments,
    run=run,
)
