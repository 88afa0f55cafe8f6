"""All experiments by name."""

import dataclasses
from typing import Any

from unpoison.errors import ConfigError

from .comparing import ScaledComparison
from .comparisons import COMPARISONS
from .experiment import Experiment
from .false_alarms.running import FalseAlarms
from .names import FALSE_ALARMS, PHOTOGRAPHS
from .photographs.running import Photographs
from .rows import SUITES
from .suite import Suite

EXPERIMENTS: dict[str, Experiment] = {
    **{name: Suite(suite=name) for name in SUITES},
    FALSE_ALARMS: FalseAlarms(),
    PHOTOGRAPHS: Photographs(),
    **{name: ScaledComparison(comparison=comparison) for name, comparison in COMPARISONS.items()},
}
"""With the options that they have unless others are asked for."""


def get_experiment(name: str, **options: Any) -> Experiment:
    """Looks an experiment up, and changes options: fields of its class.

    Raises:
        ConfigError: there is none of this name, or it has no such option.
    """
    if name not in EXPERIMENTS:
        raise ConfigError(f"unknown experiment {name!r}: choose one of {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    for option in sorted(options.keys() - {field.name for field in dataclasses.fields(experiment)}):
        raise ConfigError(f"--{option} is not for {name}: leave it out")
    return dataclasses.replace(experiment, **options)
