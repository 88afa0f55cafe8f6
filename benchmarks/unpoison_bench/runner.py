"""`unpoison bench NAME`: measures the units of an experiment that are not there yet, and publishes all of them."""

from collections.abc import Sequence

from unpoison.errors import ConfigError, UnpoisonError

from .experiment import Experiment, Published, choose
from .processes import Say, measure_each


def run_experiment(
    experiment: Experiment,
    rows: Sequence[str] | None = None,
    *,
    force: bool = False,
    jobs: int = 1,
    say: Say = lambda line: None,
) -> Published:
    """Measures each unit in a process of its own into a JSON file, and publishes what all files hold.

    Units whose file exists are skipped, so that an interrupted experiment continues.

    Args:
        rows: measures only rows that match one of these names, in which * stands for anything, in this order; all when
            None.
        force: whether to measure units again.
        jobs: how many units are measured at a time, each with its share of the threads.
        say: takes one line of progress per unit.

    Raises:
        ConfigError: an option of the experiment has an unknown value, a name matches no row, or there are no jobs.
        DatasetError: the images are missing.
        UnpoisonError: units failed; the others are published.
    """
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    units = {unit.path: unit for unit in experiment.units(choose(experiment.rows, rows))}
    todo = [unit for unit in units.values() if force or not unit.done]
    experiment.check(todo)
    say(f"{len(units) - len(todo)} of {len(units)} are done already, {len(todo)} to go: {experiment.out}")
    failed = measure_each(todo, say, jobs)
    published = experiment.publish()
    if failed:
        raise UnpoisonError(f"{', '.join(failed)} failed, see above; run again to repeat only these")
    return published
