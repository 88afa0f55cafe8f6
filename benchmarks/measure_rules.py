"""What the numbers of `unpoison.rules` are compared with, on clean data and on poisoned data: all of them again.

    python benchmarks/measure_rules.py [--only NAME ...] [--rows 'seams/*' ...] [--jobs 2]

For every number: what clean data and poison reach, the margins to the number, and the sets of the extremes; or why
there is nothing to measure. Only sets that methods are developed on are looked at. A row is a group of numbers that are
measured together on one set, and has a file of its own in the folder that --out names without its end, so that an
interrupted run goes on where it stopped; after a change of code or numbers, --force measures again. The table lies
beside that folder. All of it takes about an hour on two cores.
"""

import sys
from functools import partial

from unpoison.errors import UnpoisonError
from unpoison_bench.measuring_rules.running import Rules
from unpoison_bench.runner import run_experiment
from unpoison_bench.scripts import save, script_parser


def main() -> None:
    parser = script_parser(__doc__, device=True, out="benchmarks/results/rules-cpu.json")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only what measures these numbers (default: all)")
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help="only these rows, {group}/{set}; * stands for anything (default: all)"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="how many rows are measured side by side (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    arguments = parser.parse_args()
    experiment = Rules(
        out=arguments.out.with_suffix(""),
        device=arguments.device,
        only=None if arguments.only is None else tuple(arguments.only),
    )
    try:
        published = run_experiment(
            experiment, arguments.rows, force=arguments.force, jobs=arguments.jobs, say=partial(print, flush=True)
        )
    except UnpoisonError as error:
        sys.exit(str(error))
    save(arguments, published.facts)


if __name__ == "__main__":
    main()
