"""`unpoison bench`: the benchmarks again."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from unpoison.cli.options import Command, add_shared
from unpoison.cli.streams import show
from unpoison.errors import ConfigError

from .names import COMPARISON_NAMES, FALSE_ALARMS, HALF_NAMES, SCALE_NAMES, SUITE_NAMES

_OWN = {
    "rows": ("preset", "downstream"),
    "experiments": ("scale", "jobs"),
    FALSE_ALARMS: ("half", "method", "preset", "jobs", "downstream"),
}
"""Options that not all kinds of benchmarks have, by kind."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        choices=(*SUITE_NAMES, FALSE_ALARMS, *COMPARISON_NAMES, "all"),
        metavar="NAME",
        help=f"{', '.join(SUITE_NAMES)}, {FALSE_ALARMS} or one of {', '.join(COMPARISON_NAMES)}; all stands for the "
        "latter",
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
        help='measure only these rows or sets (default: all); but in core and bab * stands for anything: "* 1 %%"',
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
        help="runs measured side by side, each with its share of the CPU's threads; not for core and bab (default: 1)",
    )
    parser.add_argument("--method", help=f"of {FALSE_ALARMS}: pdautor, bab or ensemble (default: pdautor)")
    parser.add_argument("--preset", help=f"of core, bab and {FALSE_ALARMS}: paper, default or fast (default: default)")
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    parser.add_argument(
        "--downstream",
        action=argparse.BooleanOptionalAction,
        help=f"of core, bab and {FALSE_ALARMS}: train a small network on the input and on the output (default: yes)",
    )
    add_shared(parser, "seed", nargs="+", default=None, help="of everything random (default: the benchmark's own)")
    add_shared(parser, "device", default="cpu", help="cpu or cuda (default: %(default)s)")
    add_shared(parser, "quiet")


def run(arguments: argparse.Namespace) -> None:
    from unpoison.data.outputs import check_folder

    kind = (
        FALSE_ALARMS if arguments.name == FALSE_ALARMS else "rows" if arguments.name in SUITE_NAMES else "experiments"
    )
    for option in sorted({name for own in _OWN.values() for name in own} - set(_OWN[kind])):
        if getattr(arguments, option) is not None:
            raise ConfigError(f"--{option} is not for {arguments.name}: leave it out")
    check_folder(arguments.out)
    runs = {"rows": _run_rows, "experiments": _run_experiments, FALSE_ALARMS: _run_false_alarms}
    try:
        runs[kind](arguments)
    except KeyboardInterrupt as interrupt:
        again = "the same command without --force" if arguments.force else "the same command"
        interrupt.add_note(f"what was measured is kept in {arguments.out}, {again} goes on from there")
        raise


def _run_rows(arguments: argparse.Namespace) -> None:
    from .suite import read_rows, run_suite, table_file

    folders = [
        run_suite(
            arguments.name,
            arguments.rows,
            arguments.out,
            device=arguments.device,
            seed=seed,
            preset=arguments.preset or "default",
            downstream=arguments.downstream is not False,
            force=arguments.force,
            say=_say(arguments),
        )
        for seed in arguments.seed or [0]
    ]
    show(
        arguments,
        "\n".join(table_file(folder).read_text() for folder in folders),
        [row for folder in folders for row in read_rows(folder)],
    )


def _run_false_alarms(arguments: argparse.Namespace) -> None:
    from .false_alarms.running import page_file, read_sets, run_false_alarms

    folders = [
        run_false_alarms(
            arguments.half or "develop",
            arguments.rows,
            arguments.out,
            method=arguments.method or "pdautor",
            preset=arguments.preset or "default",
            device=arguments.device,
            seed=seed,
            downstream=arguments.downstream is not False,
            force=arguments.force,
            jobs=1 if arguments.jobs is None else arguments.jobs,
            say=_say(arguments),
        )
        for seed in arguments.seed or [0]
    ]
    show(
        arguments,
        "\n".join(page_file(folder).read_text() for folder in folders),
        [one for folder in folders for one in read_sets(folder)],
    )


def _run_experiments(arguments: argparse.Namespace) -> None:
    from .runner import run_experiment

    for name in COMPARISON_NAMES if arguments.name == "all" else [arguments.name]:
        path = run_experiment(
            name,
            arguments.scale or "cpu",
            arguments.out,
            device=arguments.device,
            seeds=arguments.seed,
            rows=arguments.rows,
            force=arguments.force,
            jobs=1 if arguments.jobs is None else arguments.jobs,
            say=_say(arguments),
        )
        show(arguments, path.read_text(), json.loads(path.with_suffix(".json").read_text()))


def _say(arguments: argparse.Namespace) -> Callable[[str], None]:
    """Takes lines of progress."""
    return lambda line: None if arguments.quiet else print(line, file=sys.stderr, flush=True)


COMMAND = Command(
    name="bench",
    help="reproduce the benchmarks",
    description="Measures a benchmark and makes a table of it: core (method pdautor) and bab by rows; the tables and "
    "figures of both papers, and ours, by scale; false-alarms looks for harm done to clean data. Every run has "
    "a process and a JSON file of its own; those that are there already are skipped. The images are found through "
    "UNPOISON_DATA. Of all, --json prints one document after the other.",
    example="unpoison bench pdautor-table1 --scale smoke --rows cifar10",
    add_arguments=add_arguments,
    run=run,
)
