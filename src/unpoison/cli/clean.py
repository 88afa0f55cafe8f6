"""`unpoison clean`: a dataset into WebDataset shards."""

import argparse
from pathlib import Path

from .facts import report_facts
from .options import Command, add_shared, add_source
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write to")
    parser.add_argument(
        "--method", default="pdautor", help="pdautor, bab, ensemble or a detector, such as scan (default: %(default)s)"
    )
    parser.add_argument("--preset", default="default", help="paper, default or fast (default: %(default)s)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings other than the preset's")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one such setting, for instance detection.width=8; may be repeated",
    )
    parser.add_argument(
        "--features", metavar="NAME", help="frozen features that say what images show, such as timm/resnet18.a1_in1k"
    )
    _add_treatment(parser)
    _add_reading(parser)
    add_shared(parser, "image", "label", "device", "seed", "quiet", "verbose")


def _add_treatment(parser: argparse.ArgumentParser) -> None:
    """What happens to what was found."""
    parser.add_argument(
        "--on-poison",
        choices=("restore", "drop", "keep"),
        help="what to do with flagged images (default: pdautor and ensemble restore, the others drop)",
    )
    parser.add_argument(
        "--max-altered",
        metavar="SHARE",
        type=float,
        default=0.5,
        help="of the images of a class; where more is flagged, nothing in it is changed (default: %(default)s)",
    )
    parser.add_argument(
        "--duplicates",
        choices=("keep", "drop"),
        default="keep",
        help="what to do with images that are the same as others, all but the first (default: %(default)s)",
    )
    parser.add_argument(
        "--keep",
        metavar="FILE",
        type=Path,
        help="reviewed table of samples, .csv or .parquet, whose column keep counts",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """What is read, and how."""
    parser.add_argument(
        "--reread",
        choices=("changed", "all"),
        default="changed",
        help="which files are read again: those whose size or time changed, or all (default: %(default)s)",
    )
    parser.add_argument(
        "--on-unreadable",
        choices=("raise", "skip"),
        default="raise",
        help="stop at an image that cannot be read, or leave it out and say so (default: %(default)s)",
    )
    parser.add_argument(
        "--max-side",
        metavar="PIXELS",
        type=int,
        default=64,
        help="of the copies of larger images that are looked at, 8 to 256; more shows smaller triggers, and takes "
        "longer (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    from ..data.cache import check_outside
    from ..data.outputs import check_apart, check_replaceable
    from ..data.sources import open_source
    from ..methods import get_method
    from ..publishing import HTML
    from ..sanitizer import Sanitizer
    from ..settings import with_settings

    preset = get_method(arguments.method).preset(arguments.preset)
    sanitizer = Sanitizer(
        arguments.method,
        config=with_settings(preset, arguments.config, arguments.settings),
        on_poison=arguments.on_poison,
        max_altered=arguments.max_altered,
        duplicates=arguments.duplicates,
        on_unreadable=arguments.on_unreadable,
        device=arguments.device,
        seed=arguments.seed,
        progress=False if arguments.quiet else None,
        keep=arguments.keep,
        reread=arguments.reread,
        max_side=arguments.max_side,
        image=arguments.image,
        label=arguments.label,
        features=arguments.features,
    )
    if (path := Path(arguments.source)).exists():
        check_apart(arguments.out, path)
        check_outside(sanitizer.cache_dir, [path])
    check_replaceable(arguments.out)
    dataset = open_source(arguments.source, root=arguments.root, download=arguments.download)
    report = sanitizer.export(dataset, arguments.out)
    page = arguments.out / HTML
    text = f"{report.summary()}\nshards and report: {arguments.out}\nreport to look at: {page}"
    show(arguments, text, {"out": str(arguments.out), "html": str(page), **report_facts(report)})


COMMAND = Command(
    name="clean",
    help="clean a dataset into WebDataset shards",
    description="Cleans SRC and writes shard-*.tar, manifest and report into OUT. After an interruption the same "
    "command goes on.",
    example="unpoison clean photos/ cleaned/ --method pdautor",
    add_arguments=add_arguments,
    run=run,
)
