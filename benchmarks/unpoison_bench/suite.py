"""`unpoison bench SUITE`: detection, restoration and cost on CIFAR-10 and GTSRB, one process and one file per row."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from unpoison.data.files import publish_bytes
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.methods import get_method
from unpoison.sanitizer import Sanitizer

from .data import images_file
from .measure import Job, measure
from .processes import Task, measure_each, read_json
from .rows import METHODS, SUITES, Row, paper_config
from .table import table


def run_suite(
    suite: str,
    rows: Sequence[str] | None = None,
    out: str | Path = "benchmarks/results",
    *,
    device: str = "cpu",
    seed: int = 0,
    preset: str = "default",
    per_class: int | None = None,
    downstream: bool = True,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Measures rows into `{out}/{suite}-{device}-seed{seed}/{row}.json` and puts all of the folder into a table.

    Rows whose file exists are skipped, so that an interrupted run continues.

    Args:
        suite: one of `SUITES`.
        rows: names among its rows, all when None.
        device: to compute on, such as "cpu" or "cuda".
        seed: of the poison, the cleaning and the small networks.
        preset: of the suite's method; the paper's rows have their own.
        per_class: at most this many images of each class, in both splits, for a quick look; None for the real thing.
        downstream: whether small networks are trained on the input and on the output.
        force: whether to measure rows again.
        say: takes one line of progress per row.

    Returns:
        The folder of the JSON files; the table `{folder}.md` lies beside it.

    Raises:
        ConfigError: a row, the preset or the device is unknown, or the folder holds rows of other settings.
        DatasetError: the images are missing.
        UnpoisonError: rows failed; the others are in the table.
    """
    Sanitizer(METHODS[suite], config=preset, device=device)
    order = SUITES[suite]
    chosen = [Row.named(suite, name) for name in sorted(set(rows or order), key=lambda name: _place(order, name))]
    for row in chosen:
        images_file(row.dataset, "test")
    folder = Path(out) / f"{suite}-{device.replace(':', '')}-seed{seed}"
    todo = [row for row in chosen if force or not _file(folder, row.name).exists()]
    settings = {"preset": preset, "per_class": per_class}
    _check_settings(folder, settings, replaced={row.name for row in todo})
    say(f"{len(chosen) - len(todo)} of {len(chosen)} rows are done already, {len(todo)} to go: {folder}")

    def job(row: Row) -> Job:
        config, deviations = get_method(row.method).preset("paper" if row.paper else preset), list[str]()
        if row.paper and suite == "core":
            default = read_json(_file(folder, row.default))
            config, deviations = paper_config(None if default is None else default["config"]["chosen"])
        return Job(
            row=row, preset=preset, config=config, deviations=deviations, device=device, seed=seed,
            per_class=per_class, downstream=downstream,
        )  # fmt: skip

    tasks = [Task(row.name, _file(folder, row.name), partial(job, row), measure) for row in todo]
    failed = measure_each(tasks, "rows", say)
    measured = read_rows(folder)
    if measured:
        publish_bytes(table_file(folder), table(folder.name, measured).encode())
    if failed:
        raise UnpoisonError(f"{', '.join(failed)} failed, see above; run again to repeat only these")
    return folder


def table_file(folder: Path) -> Path:
    """Where the table of a folder of rows lies."""
    return folder.with_name(f"{folder.name}.md")


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The measured rows of a folder, in the order of their suite."""
    order = SUITES[folder.name.partition("-")[0]]
    found = (read_json(_file(folder, name)) for name in order)
    return [row for row in found if row is not None]


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else -1


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _check_settings(folder: Path, settings: dict[str, Any], replaced: set[str]) -> None:
    for row in read_rows(folder):
        if row["row"] not in replaced and row["settings"] != settings:
            raise ConfigError(
                f"{_file(folder, row['row'])} was measured with {row['settings']} instead of {settings}: choose "
                "another folder, or measure all of its rows again with --force"
            )
