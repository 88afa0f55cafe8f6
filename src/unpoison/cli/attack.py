"""`unpoison attack`: a poisoned copy of a dataset, to try unpoison out."""

import argparse
from pathlib import Path

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
    parser.add_argument("--overlap", action="store_true", help="let several attacks hit the same images")
    add_shared(parser, "seed", "quiet")


def run(arguments: argparse.Namespace) -> None:
    from ..attacks import ATTACKS, PoisonedDataset
    from ..attacks.folder import write_poisoned
    from ..data.outputs import check_apart, check_new
    from ..data.sources import open_source
    from ..progress import Progress

    if (path := Path(arguments.source)).exists():
        check_apart(arguments.out, path)
    check_new(arguments.out)
    source = open_source(arguments.source, root=arguments.root, download=arguments.download)
    progress = Progress(False if arguments.quiet else None)
    with progress.stage("poison"):
        poisoned = PoisonedDataset(
            source,
            [ATTACKS[name]() for name in arguments.attack],
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
        "overlap": arguments.overlap,
        "seed": arguments.seed,
    }
    with progress.stage("write") as bar:
        record = write_poisoned(poisoned, arguments.out, settings, bar)
    count = int(poisoned.poisoned.sum())
    facts = {"out": str(arguments.out), "record": str(record), "samples": len(poisoned), "poisoned": count, **settings}
    text = f"{count} of {len(poisoned)} images are poisoned: {arguments.out}\nwhich ones: {record}"
    show(arguments, text, facts)


COMMAND = Command(
    name="attack",
    help="poison a dataset to try unpoison out",
    description="Writes SRC with some of its images poisoned into OUT, as PNG files in one folder per class, which the "
    "other commands read. poison.json in OUT says which ones, and what their classes were. Numbers of "
    "classes are those of SRC; the attacks have their published settings.",
    example="unpoison attack photos/ poisoned/ --attack badnets --rate 0.05",
    add_arguments=add_arguments,
    run=run,
)
