"""`unpoison report`: the page of a run."""

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


def run(arguments: argparse.Namespace) -> None:
    from ..report import Report

    folder: Path = arguments.folder
    # In the cache the report lies with the method's outcome.
    report = Report.load(folder / "outcome" if (folder / "outcome").is_dir() else folder)
    path = report.to_html(arguments.out or folder / "report.html")
    show(arguments, f"{report.summary()}\nreport to look at: {path}", {"html": str(path), **report_facts(report)})


COMMAND = Command(
    name="report",
    help="make the HTML page of a report",
    description="Makes a page that shows what was found in the data and why, from the report in FOLDER.",
    example="unpoison report cleaned/ --out report.html",
    add_arguments=add_arguments,
    run=run,
)
