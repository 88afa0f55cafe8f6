"""`unpoison pull`: a restorer from the Hugging Face Hub."""

import argparse
import shutil
from pathlib import Path

from .options import Command, add_shared
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="ID", help="user/name or user/name@revision on the Hub")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder to write to")
    parser.add_argument("--signed-by", metavar="KEY", help="public key that it must be signed with, or a file with it")
    add_shared(parser, "quiet", "verbose")


def run(arguments: argparse.Namespace) -> None:
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    from ..data.checksums import SUMS
    from ..data.files import SIGNATURE
    from ..data.outputs import check_replaceable, replacing_folder
    from ..restoration import Restorer
    from ..restoration.files import CONFIG, WEIGHTS
    from ..restoration.restorer import fetch

    check_replaceable(arguments.folder)
    if arguments.quiet:
        disable_progress_bars()
    fetched, origin = fetch(arguments.repo, signed_by=arguments.signed_by)
    with replacing_folder(arguments.folder) as new:
        # To the byte: the signature is of these.
        for name in (CONFIG, WEIGHTS, SUMS, SIGNATURE):
            if (fetched / name).exists():
                shutil.copyfile(fetched / name, new / name)
        restorer = Restorer.from_pretrained(new, signed_by=arguments.signed_by)
        restorer.generate_model_card().save(new / "README.md")
    facts = {"folder": str(arguments.folder), "origin": origin}
    show(arguments, f"{origin}: {arguments.folder}", facts)


COMMAND = Command(
    name="pull",
    help="fetch a restorer from the Hugging Face Hub",
    description="Fetches the restorer ID, checks it and writes it into FOLDER.",
    example="unpoison pull user/name@main restorer/",
    add_arguments=add_arguments,
    run=run,
)
