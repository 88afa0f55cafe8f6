"""The command line: `unpoison demo`, `clean`, `verify`, `push`, `pull`, `bench`. Exit: 0 done, 1 failed, 2 misused."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__
from .bench.names import EXPERIMENT_NAMES, SCALE_NAMES, SUITE_NAMES
from .errors import ConfigError, UnpoisonError


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except ConfigError as error:
        print(f"unpoison: {error}", file=sys.stderr)
        return 2
    except UnpoisonError as error:
        print(f"unpoison: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="unpoison", description="Clean poisoned image datasets.")
    parser.add_argument("--version", action="version", version=f"unpoison {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="poison, clean and retrain on scikit-learn's digits",
        description="Poisons scikit-learn's digits, trains a victim, cleans the data and trains again.",
        epilog="example: unpoison demo --out unpoison-demo",
    )
    demo.add_argument("--out", type=Path, default=Path("unpoison-demo"), help="folder for shards and report")
    _common(demo)
    demo.set_defaults(command=_demo)

    clean = commands.add_parser(
        "clean",
        help="clean a dataset into WebDataset shards",
        description="Cleans SRC and writes shard-*.tar, manifest and report into OUT.",
        epilog="example: unpoison clean photos/ cleaned/ --method pdautor",
    )
    clean.add_argument("source", metavar="SRC", help="image folder, .parquet or .tar path, or torchvision dataset name")
    clean.add_argument("out", metavar="OUT", type=Path, help="folder to write to")
    clean.add_argument("--method", default="pdautor", help="detection method (default: %(default)s)")
    clean.add_argument("--preset", default="default", help="paper, default or fast (default: %(default)s)")
    clean.add_argument("--on-poison", choices=("restore", "drop", "keep"), help="what to do with flagged images")
    _torchvision(clean)
    _common(clean)
    clean.set_defaults(command=_clean)

    verify = commands.add_parser(
        "verify",
        help="measure what cleaning did to a model",
        description="Trains a small network on SRC and on CLEANED, in the same way for each seed, and compares them on "
        "TEST, which must be trusted. With --trigger, test images are stamped with it, too.",
        epilog="example: unpoison verify photos/ cleaned/ --test held-out/ --trigger badnets --target 3",
    )
    verify.add_argument("source", metavar="SRC", help="the data as they came, as `unpoison clean` takes them")
    verify.add_argument("cleaned", metavar="CLEANED", help="what `unpoison clean` wrote, or any other cleaned set")
    verify.add_argument("--test", required=True, help="held-out data of the same kinds")
    verify.add_argument("--trigger", metavar="NAME", help="attack whose success rate is measured, such as badnets")
    verify.add_argument("--target", type=int, default=0, help="class that the trigger asks for (default: %(default)s)")
    _torchvision(verify)
    _common(verify, seeds="+")
    verify.set_defaults(command=_verify, seed=[0, 1, 2])

    push = commands.add_parser(
        "push",
        help="upload a restorer or a cleaned set to the Hugging Face Hub",
        description="Uploads FOLDER: a restorer, or what `unpoison clean` wrote.",
        epilog="example: unpoison push cleaned/ user/name --private",
    )
    push.add_argument("folder", metavar="FOLDER", type=Path)
    push.add_argument("repo", metavar="ID", help="user/name on the Hub")
    push.add_argument("--private", action="store_true", help="make a new repository private")
    push.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    push.set_defaults(command=_push)

    pull = commands.add_parser(
        "pull",
        help="fetch a restorer from the Hugging Face Hub",
        description="Fetches the restorer ID, checks it and writes it into FOLDER.",
        epilog="example: unpoison pull user/name@main restorer/",
    )
    pull.add_argument("repo", metavar="ID", help="user/name or user/name@revision on the Hub")
    pull.add_argument("folder", metavar="FOLDER", type=Path)
    pull.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    pull.set_defaults(command=_pull)

    bench = commands.add_parser(
        "bench",
        help="reproduce the benchmarks",
        description="Measures a benchmark and makes a table of it: core (method pdautor) and bab by rows; the tables "
        "and figures of both papers, and ours, by scale. Every run has a process and a JSON file of its own; those "
        "that are there already are skipped. The images are found through UNPOISON_DATA. Runs on the CPU unless "
        "--device names another.",
        epilog="examples: unpoison bench pdautor-table1 --scale smoke; "
        "unpoison bench bab-fig5 --scale full --device cuda --seed 0 1; "
        "unpoison bench core --rows cifar10-badnets-1 cifar10-clean",
    )
    bench.add_argument(
        "name", choices=(*SUITE_NAMES, *EXPERIMENT_NAMES, "all"), metavar="NAME",
        help=f"{', '.join(SUITE_NAMES)} or one of {', '.join(EXPERIMENT_NAMES)}; all stands for the latter",
    )  # fmt: skip
    bench.add_argument(
        "--scale", choices=SCALE_NAMES,
        help="smoke (does it run?), cpu (hours) or full (all images, for a GPU); not for core and bab (default: cpu)",
    )  # fmt: skip
    bench.add_argument(
        "--rows", nargs="+", metavar="ROW",
        help="measure only these rows (default: all); in tables and figures * stands for anything: \"* 1 %%\"",
    )  # fmt: skip
    bench.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)"
    )
    bench.add_argument("--preset", help="of core and bab: paper, default or fast (default: default)")
    bench.add_argument("--force", action="store_true", help="measure again what is there already")
    bench.add_argument(
        "--downstream",
        action=argparse.BooleanOptionalAction,
        help="of core and bab: train a small network on the input and on the output (default: yes)",
    )
    _common(bench, seeds="+")
    bench.set_defaults(command=_bench, device="cpu", seed=None)
    return parser


def _torchvision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default="data", help="folder of torchvision datasets (default: %(default)s)")
    parser.add_argument("--download", action="store_true", help="let torchvision download a missing dataset")


def _common(parser: argparse.ArgumentParser, seeds: str | None = None) -> None:
    parser.add_argument("--device", help="cpu or cuda (default: an accelerator where there is one)")
    parser.add_argument("--seed", type=int, default=0, nargs=seeds)
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _demo(arguments: argparse.Namespace) -> None:
    from .demo import run_demo

    result = run_demo(arguments.out, device=arguments.device, seed=arguments.seed, progress=not arguments.quiet)
    print(json.dumps(result.as_dict(), indent=1) if arguments.json else result.as_text())


def _clean(arguments: argparse.Namespace) -> None:
    from .data.sources import open_source
    from .sanitizer import Sanitizer

    dataset = open_source(arguments.source, root=arguments.root, download=arguments.download)
    sanitizer = Sanitizer(
        arguments.method,
        config=arguments.preset,
        on_poison=arguments.on_poison,
        device=arguments.device,
        seed=arguments.seed,
        progress=not arguments.quiet,
    )
    report = sanitizer.export(dataset, arguments.out)
    if arguments.json:
        counts = {action: int((report.action == action).sum()) for action in ("keep", "restore", "drop")}
        print(
            json.dumps(
                {
                    "out": str(arguments.out),
                    "samples": len(report),
                    "flagged": int(report.flagged.sum()),
                    **counts,
                    "poisoned_classes": [entry.label for entry in report.classes if entry.poisoned],
                    "seconds": round(sum(report.timings.values()), 1),
                },
                indent=1,
            )
        )
    else:
        print(f"{report.summary()}\nshards and report: {arguments.out}")


def _verify(arguments: argparse.Namespace) -> None:
    from .attacks import ATTACKS
    from .data.sources import open_source
    from .improvement import verify

    if arguments.trigger is not None and arguments.trigger not in ATTACKS:
        raise ConfigError(f"unknown trigger {arguments.trigger!r}: choose one of {', '.join(ATTACKS)}")
    before, after, test = (
        open_source(source, root=arguments.root, download=arguments.download)
        for source in (arguments.source, arguments.cleaned, arguments.test)
    )
    found = verify(
        before,
        after,
        test,
        attack=None if arguments.trigger is None else ATTACKS[arguments.trigger](),
        target=arguments.target,
        seeds=arguments.seed,
        device=arguments.device,
        progress=not arguments.quiet,
    )
    print(json.dumps(found.as_dict(), indent=1) if arguments.json else found.as_text())


def _push(arguments: argparse.Namespace) -> None:
    from .data.reopened import ShardSet
    from .data.shards import INFO
    from .hub import Kind, push_folder
    from .restoration import Restorer

    kind: Kind = "dataset" if (arguments.folder / INFO).is_file() else "model"
    # What others could not read is not uploaded.
    _ = ShardSet(arguments.folder) if kind == "dataset" else Restorer.from_pretrained(arguments.folder)
    message = "Add a restorer" if kind == "model" else "Add a cleaned set"
    address = push_folder(arguments.folder, arguments.repo, kind, private=arguments.private or None, message=message)
    print(json.dumps({"kind": kind, "commit": address}, indent=1) if arguments.json else address)


def _pull(arguments: argparse.Namespace) -> None:
    from .restoration import Restorer

    restorer = Restorer.from_pretrained(arguments.repo)
    restorer.save_pretrained(arguments.folder)
    facts = {"folder": str(arguments.folder), "origin": restorer.origin}
    print(json.dumps(facts, indent=1) if arguments.json else f"{restorer.origin}: {arguments.folder}")


def _bench(arguments: argparse.Namespace) -> None:
    by_rows = arguments.name in SUITE_NAMES
    for option in ("scale",) if by_rows else ("preset", "downstream"):
        if getattr(arguments, option) is not None:
            raise ConfigError(f"--{option} is not for {arguments.name}: leave it out")
    (_bench_rows if by_rows else _bench_experiment)(arguments)


def _bench_rows(arguments: argparse.Namespace) -> None:
    from .bench.suite import read_rows, run_suite, table_file

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
    if arguments.json:
        print(json.dumps([row for folder in folders for row in read_rows(folder)], indent=1))
    else:
        print("\n".join(table_file(folder).read_text() for folder in folders))


def _bench_experiment(arguments: argparse.Namespace) -> None:
    from .bench.runner import run_experiment

    for name in EXPERIMENT_NAMES if arguments.name == "all" else [arguments.name]:
        path = run_experiment(
            name,
            arguments.scale or "cpu",
            arguments.out,
            device=arguments.device,
            seeds=arguments.seed,
            rows=arguments.rows,
            force=arguments.force,
            say=_say(arguments),
        )
        print(path.with_suffix(".json" if arguments.json else ".md").read_text(), flush=True)


def _say(arguments: argparse.Namespace) -> Callable[[str], None]:
    """Takes lines of progress."""
    return lambda line: None if arguments.quiet else print(line, file=sys.stderr, flush=True)
