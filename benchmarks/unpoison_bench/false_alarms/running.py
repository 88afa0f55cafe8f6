"""`unpoison bench false-alarms`: one process and one file per set, and a page of all."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from unpoison.data.files import publish_bytes
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.sanitizer import Sanitizer

from ..data import images_file
from ..processes import Say, Task, measure_each, read_json
from .cases import Case, Half
from .listing import choose_cases
from .measuring import Job, measure
from .tables import page


def run_false_alarms(
    half: Half = "develop",
    rows: Sequence[str] | None = None,
    out: str | Path = "benchmarks/results",
    *,
    method: str = "pdautor",
    preset: str = "default",
    device: str = "cpu",
    seed: int = 0,
    downstream: bool = True,
    force: bool = False,
    jobs: int = 1,
    say: Say = lambda line: None,
    measure: Callable[[Job], dict[str, Any]] = measure,
) -> Path:
    """Measures sets into `{out}/false-alarms-{method}-{preset}-{device}-seed{seed}/{half}/{set}.json`, and writes
    `{half}.md` beside that folder, of all that it holds.

    Sets whose file exists are skipped, so that an interrupted run continues; not those that lack networks which are
    wanted now.

    Args:
        half: of the sets.
        rows: measures only sets that match one of these names, in which * stands for anything; all when None.
        method: that cleans.
        preset: of the method.
        device: to compute on, such as "cpu" or "cuda".
        seed: of the cleaning and the networks, added to that of the poison; the images are the same.
        downstream: whether networks are trained on the input and on the output of poisoned sets.
        force: whether to measure sets again.
        jobs: how many sets are measured at a time, each with its share of the threads.
        say: takes one line of progress per set.
        measure: how a set is measured; a function of a module.

    Returns:
        The folder of the JSON files; `page_file` tells where the page lies.

    Raises:
        ConfigError: no set matches, or method, preset or device is unknown, or there are no jobs.
        DatasetError: the images are missing.
        UnpoisonError: sets failed; the others are on the page.
    """
    Sanitizer(method, config=preset, device=device)
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    chosen = choose_cases(half, rows)
    for source in {case.draw.source for case in chosen} - {"digits"}:
        images_file(source, "train")
    folder = Path(out) / f"false-alarms-{method}-{preset}-{device.replace(':', '')}-seed{seed}" / half
    files = {case.name: folder / f"{case.name}.json" for case in chosen}
    todo = [case for case in chosen if force or not _done(files[case.name], downstream and case.poison is not None)]
    say(f"{len(chosen) - len(todo)} of {len(chosen)} sets are done already, {len(todo)} to go: {folder}")

    def job(case: Case) -> Job:
        return Job(case=case, method=method, preset=preset, device=device, seed=seed, downstream=downstream)

    tasks = [Task(case.name, files[case.name], partial(job, case), measure) for case in todo]
    failed = measure_each(tasks, "sets", say, jobs)
    measured = read_sets(folder)
    if measured:
        title = f"False alarms, half {half}: {method}, preset {preset}, seed {seed}"
        publish_bytes(page_file(folder), page(title, measured, len(choose_cases(half))).encode())
    if failed:
        raise UnpoisonError(f"{', '.join(failed)} failed, see above; run again to repeat only these")
    return folder


def page_file(folder: Path) -> Path:
    """Where the page of a folder of sets lies."""
    return folder.with_name(f"{folder.name}.md")


def read_sets(folder: Path) -> list[dict[str, Any]]:
    """The measured sets of a half's folder, in the order of the list."""
    half: Half = "unseen" if folder.name == "unseen" else "develop"
    found = (read_json(folder / f"{case.name}.json") for case in choose_cases(half))
    return [one for one in found if one is not None]


def _done(file: Path, downstream: bool) -> bool:
    measured = read_json(file)
    return measured is not None and (not downstream or "asr_input" in measured)
