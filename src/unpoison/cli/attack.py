"""`unpoison attack`: a poisoned copy of a dataset, to try unpoison out."""

import argparse
from pathlib import Path
from typing import Any

from .options import ATTACK_NAMES, Command, add_shared, add_source, class_or_all
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "out",
        metavar="OUT",
        type=Path,
        help="folder to write to; it must be new or empty",
    )
    parser.add_argument(
        "--attack",
        nargs="+",
        action="extend",
        required=True,
        choices=ATTACK_NAMES,
        metavar="NAME",
        help=f"one or more of {', '.join(ATTACK_NAMES)}",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.01,
        help="fraction of the images that each attack poisons (default: %(default)s)",
    )
    parser.add_argument(
        "--target",
        type=class_or_all,
        nargs="+",
        default=[0],
        help="class number that the attacker wants, or all-to-all: one for all attacks, or one for each (default: 0)",
    )
    parser.add_argument(
        "--size",
        type=_size,
        help="side of the patch of badnets: pixels, or a share of each image's shorter side such as .06 (default: 3)",
    )
    parser.add_argument(
        "--keep-jpeg",
        action="store_true",
        help="write JPEG files as JPEG, stamped ones with the quality that they had and the others as they are",
    )
    parser.add_argument("--overlap", action="store_true", help="let several attacks hit the same images")
    add_shared(parser, "seed", "quiet")


def _size(text: str) -> int | float:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of pixels nor a share") from error


def run(arguments: argparse.Namespace) -> None:
    from ..attacks import ATTACKS, PoisonedDataset
    from ..attacks.folder import write_poisoned
    from ..data.outputs import check_apart, check_new
    from ..data.sources import open_source
    from ..errors import ConfigError
    from ..progress import Progress

    if (path := Path(arguments.source)).exists():
        check_apart(arguments.out, path)
    check_new(arguments.out)
    options: dict[str, dict[str, Any]] = {name: {} for name in arguments.attack}
    if arguments.size is not None:
        if "badnets" not in options:
            raise ConfigError("--size is that of the patch of badnets: leave it out, or add badnets to --attack")
        options["badnets"] = {"size": arguments.size}
    attacks = [ATTACKS[name](**options[name]) for name in arguments.attack]
    source = open_source(arguments.source, root=arguments.root, download=arguments.download)
    progress = Progress(False if arguments.quiet else None)
    with progress.stage("poison"):
        poisoned = PoisonedDataset(
            source,
            attacks,
            rate=arguments.rate,
            target=arguments.target[0] if len(arguments.target) == 1 else arguments.target,
            seed=arguments.seed,
            overlap=arguments.overlap,
        )
    settings = {
        "source": arguments.source,
        "attack": arguments.attack,
        "rate": arguments.rate,
        "target": arguments.target,
        "size": arguments.size,
        "keep_jpeg": arguments.keep_jpeg,
        "overlap": arguments.overlap,
        "seed": arguments.seed,
    }
    with progress.stage("write") as bar:
        record = write_poisoned(poisoned, arguments.out, settings, bar, keep_jpeg=arguments.keep_jpeg)
    count = int(poisoned.poisoned.sum())
    facts = {"out": str(arguments.out), "record": str(record), "samples": len(poisoned), "poisoned": count, **settings}
    text = f"{count} of {len(poisoned)} images are poisoned: {arguments.out}\nwhich ones: {record}"
    show(arguments, text, facts)


COMMAND = Command(
    name="attack",
    help="poison a dataset to try unpoison out",
    description="Writes SRC with some of its images poisoned, each at its own size, into OUT, in one folder per class, "
    "which the other commands read: as PNG files, unless --keep-jpeg says otherwise. poison.json in OUT says which "
    "ones, and what their classes were. Numbers of classes are those of SRC; the attacks have their published "
    "settings. On photographs the patch of badnets needs a --size.",
    example="unpoison attack photos/ poisoned/ --attack badnets --rate 0.05",
    add_arguments=add_arguments,
    run=run,
)
