"""`unpoison report`: the page of a run, and the table of its samples."""

import argparse
from pathlib import Path

from .facts import report_facts
from .options import Command
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        help="what `unpoison clean` wrote, or the folder of a run in the cache",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write to (default: report.html in FOLDER)",
    )
    parser.add_argument(
        "--samples",
        metavar="FILE",
        type=Path,
        help="also write a table with a row per image, .parquet or .csv, for pandas, FiftyOne, Spotlight and the like",
    )
    parser.add_argument(
        "--images",
        metavar="FOLDER",
        type=Path,
        help="where the images in the table lie (default: as the report says, which it does for runs in the cache)",
    )


def run(arguments: argparse.Namespace) -> None:
    from ..data.outputs import check_page
    from ..errors import ConfigError
    from ..report import Report
    from ..samples import check_table, write_samples

    if arguments.images is not None and arguments.samples is None:
        raise ConfigError("--images says where the images of a table lie: ask for one with --samples FILE")
    folder: Path = arguments.folder
    out: Path = arguments.out or folder / "report.html"
    check_page(out)
    if arguments.samples is not None:
        check_table(arguments.samples)
    # In the cache the report lies with the method's outcome.
    report = Report.load(folder / "outcome" if (folder / "outcome").is_dir() else folder)
    text, facts = report.summary(), report_facts(report)
    if arguments.samples is not None:
        table = write_samples(report.samples(arguments.images), arguments.samples)
        text, facts = f"{text}\ntable of the samples: {table}", {"table": str(table), **facts}
    path = report.to_html(out)
    show(arguments, f"{text}\nreport to look at: {path}", {"html": str(path), **facts})


COMMAND = Command(
    name="report",
    help="make the HTML page of a report, and a table of its samples",
    description="Makes a page that shows what was found in the data and why, from the report in FOLDER, and with "
    "--samples a table of all its samples.",
    example="unpoison report cleaned/ --samples samples.csv --images photos/",
    add_arguments=add_arguments,
    run=run,
)
