"""The experiments by name: every table and figure of both papers that can be measured, and our own comparison."""

from unpoison.errors import ConfigError

from ..experiment import Experiment
from . import bab, ours, pdautor, pdautor_detector

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        *pdautor_detector.EXPERIMENTS,
        *pdautor.EXPERIMENTS,
        *bab.EXPERIMENTS,
        *ours.EXPERIMENTS,
    )
}


def get_experiment(name: str) -> Experiment:
    """Looks an experiment up.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in EXPERIMENTS:
        raise ConfigError(f"unknown experiment {name!r}: choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
