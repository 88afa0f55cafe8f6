"""`unpoison bench`: the benchmarks again."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from unpoison.cli.options import Command, add_shared
from unpoison.cli.streams import show

from .names import COMPARISON_NAMES, FALSE_ALARMS, HALF_NAMES, NAMES, PHOTOGRAPHS, SCALE_NAMES, SUITE_NAMES

_OWN = ("scale", "half", "photographs", "method", "preset", "downstream")
"""Options that not all experiments have."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        choices=(*NAMES, "all"),
        metavar="NAME",
        help=f"{', '.join(SUITE_NAMES)}, {FALSE_ALARMS}, {PHOTOGRAPHS} or one of {', '.join(COMPARISON_NAMES)}; all "
        "stands for the latter",
    )
    parser.add_argument(
        "--scale",
        choices=SCALE_NAMES,
        help="of tables and figures: smoke (does it run?), cpu (hours) or full (all images, for a GPU) (default: cpu)",
    )
    parser.add_argument(
        "--half",
        choices=HALF_NAMES,
        help=f"of {FALSE_ALARMS}: the sets to develop on, or those to look at once, at the end (default: develop)",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="ROW",
        help='measure only these rows, in this order; * stands for anything: "* 1 %%" (default: all)',
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("benchmarks/results"),
        help="folder of the results (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        default=1,
        help="how many are measured side by side, each with its share of the CPU's threads (default: %(default)s)",
    )
    parser.add_argument(
        "--photographs",
        type=int,
        metavar="N",
        help=f"of {PHOTOGRAPHS}: use about N photographs of each row, for a quick look (default: all)",
    )
    parser.add_argument(
        "--method",
        help=f"of {FALSE_ALARMS} and {PHOTOGRAPHS}: pdautor, bab or ensemble; of the latter also flags, which is told "
        "what is poisoned (default: pdautor)",
    )
    parser.add_argument(
        "--preset", help=f"of core, bab, {FALSE_ALARMS} and {PHOTOGRAPHS}: paper, default or fast (default: default)"
    )
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    parser.add_argument(
        "--downstream",
        action=argparse.BooleanOptionalAction,
        help=f"of core, bab, {FALSE_ALARMS} and {PHOTOGRAPHS}: train a small network on the input and on the output "
        "(default: yes, but for the latter)",
    )
    add_shared(
        parser,
        "seed",
        nargs="+",
        default=None,
        help="of everything random, measured with each (default: 0, or the scale's)",
    )
    add_shared(parser, "device", default="cpu", help="cpu or cuda (default: %(default)s)")
    add_shared(parser, "quiet")


def run(arguments: argparse.Namespace) -> None:
    from unpoison.data.outputs import check_folder

    check_folder(arguments.out)
    try:
        _run_all(arguments)
    except KeyboardInterrupt as interrupt:
        again = "the same command without --force" if arguments.force else "the same command"
        interrupt.add_note(f"what was measured is kept in {arguments.out}, {again} goes on from there")
        raise


def _run_all(arguments: argparse.Namespace) -> None:
    from .experiments import get_experiment
    from .runner import run_experiment

    options = {name: getattr(arguments, name) for name in _OWN if getattr(arguments, name) is not None}
    if arguments.seed:
        options["seeds"] = tuple(dict.fromkeys(arguments.seed))
    for name in COMPARISON_NAMES if arguments.name == "all" else [arguments.name]:
        experiment = get_experiment(name, out=arguments.out, device=arguments.device, **options)
        published = run_experiment(
            experiment, arguments.rows, force=arguments.force, jobs=arguments.jobs, say=_say(arguments)
        )
        show(arguments, published.text, published.facts)


def _say(arguments: argparse.Namespace) -> Callable[[str], None]:
    """Takes lines of progress."""
    return lambda line: None if arguments.quiet else print(line, file=sys.stderr, flush=True)


COMMAND = Command(
    name="bench",
    help="reproduce the benchmarks",
    description="Measures a benchmark and makes a table of it: core (method pdautor) and bab by rows; the tables and "
    "figures of both papers, and ours, by scale; false-alarms looks for harm done to clean data; photographs "
    "poisons, finds and repairs them at their own size. Every run has "
    "a process and a JSON file of its own; those that are there already are skipped. The images are found through "
    "UNPOISON_DATA. Of all, --json prints one document after the other.",
    example="unpoison bench pdautor-table1 --scale smoke --rows cifar10",
    add_arguments=add_arguments,
    run=run,
)
