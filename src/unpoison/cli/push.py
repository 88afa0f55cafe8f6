"""`unpoison push`: a restorer or a cleaned set onto the Hugging Face Hub."""

import argparse
from pathlib import Path

from .options import Command, add_shared
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what is uploaded")
    parser.add_argument("repo", metavar="ID", help="user/name on the Hub")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    add_shared(parser, "quiet")


def run(arguments: argparse.Namespace) -> None:
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    from ..data.reopened import ShardSet
    from ..data.shards import INFO
    from ..hub import Kind, push_folder
    from ..restoration import Restorer

    kind: Kind = "dataset" if (arguments.folder / INFO).is_file() else "model"
    # What others could not read is not uploaded.
    _ = ShardSet(arguments.folder) if kind == "dataset" else Restorer.from_pretrained(arguments.folder)
    message = "Add a restorer" if kind == "model" else "Add a cleaned set"
    if arguments.quiet:
        disable_progress_bars()
    address = push_folder(arguments.folder, arguments.repo, kind, private=arguments.private or None, message=message)
    show(arguments, address, {"kind": kind, "commit": address})


COMMAND = Command(
    name="push",
    help="upload a restorer or a cleaned set to the Hugging Face Hub",
    description="Uploads FOLDER: a restorer, or what `unpoison clean` wrote.",
    example="unpoison push cleaned/ user/name --private",
    add_arguments=add_arguments,
    run=run,
)
