"""`unpoison demo`: the main job in one run."""

import argparse
from pathlib import Path

from .options import Command, add_shared
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("unpoison-demo"),
        help="folder for shards and report (default: %(default)s)",
    )
    add_shared(parser, "device", "seed", "quiet", "verbose")


def run(arguments: argparse.Namespace) -> None:
    from ..demo import run_demo

    result = run_demo(
        arguments.out,
        device=arguments.device,
        seed=arguments.seed,
        progress=False if arguments.quiet else None,
    )
    show(arguments, result.as_text(), result.as_dict())


COMMAND = Command(
    name="demo",
    help="poison, clean and retrain on scikit-learn's digits",
    description="Poisons scikit-learn's digits, trains a victim, cleans the data and trains again.",
    example="unpoison demo --out unpoison-demo",
    add_arguments=add_arguments,
    run=run,
)
