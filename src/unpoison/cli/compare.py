"""`unpoison compare`: what cleaning did to a model."""

import argparse

from .options import ATTACK_NAMES, Command, add_shared, add_source, class_or_all
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument(
        "cleaned",
        metavar="CLEANED",
        help="what `unpoison clean` wrote, or any other cleaned set",
    )
    parser.add_argument("--test", required=True, help="held-out data of the same kinds")
    parser.add_argument(
        "--trigger",
        choices=ATTACK_NAMES,
        metavar="NAME",
        help=f"attack whose success rate is measured: {', '.join(ATTACK_NAMES)}",
    )
    parser.add_argument(
        "--target",
        type=class_or_all,
        default=0,
        help="class number that the attacker wants, or all-to-all (default: %(default)s)",
    )
    add_shared(parser, "seed", nargs="+", default=[0, 1, 2], help="of everything random (default: 0 1 2)")
    add_shared(parser, "device", "quiet", "verbose")


def run(arguments: argparse.Namespace) -> None:
    from ..attacks import ATTACKS
    from ..data.sources import open_source
    from ..improvement import compare

    before, after, test = (
        open_source(source, root=arguments.root, download=arguments.download)
        for source in (arguments.source, arguments.cleaned, arguments.test)
    )
    found = compare(
        before,
        after,
        test,
        attack=None if arguments.trigger is None else ATTACKS[arguments.trigger](),
        target=arguments.target,
        seeds=arguments.seed,
        device=arguments.device,
        progress=False if arguments.quiet else None,
    )
    show(arguments, found.as_text(), found.as_dict())


COMMAND = Command(
    name="compare",
    help="measure what cleaning did to a model",
    description="Trains a small network on SRC and on CLEANED, in the same way for each seed, and compares them on "
    "TEST, which must be trusted. With --trigger, test images are stamped with it, too.",
    example="unpoison compare photos/ cleaned/ --test held-out/ --trigger badnets",
    add_arguments=add_arguments,
    run=run,
)
