"""A restorer from elsewhere, as it is where it does its work on these data, else fine-tuned to them."""

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import rules
from ..context import Context
from ..triggers import Trigger
from .config import DEFAULT, RestorationConfig
from .pairs import Pairs
from .restorer import Restorer
from .training import train_restorer

FINE_TUNING = 1 / 4
"""Of the steps that a new restorer takes. Measured from the published networks, five patches: the error is .89 to .98
of that after all steps from the start."""


class Adapted(NamedTuple):
    """What became of a given restorer."""

    restorer: Restorer
    how: str
    """For the report."""


def adapt_restorer(
    given: Restorer,
    images: npt.NDArray[np.uint8],
    flagged: npt.NDArray[np.bool_],
    members: npt.NDArray[np.bool_],
    trigger: Trigger | None,
    config: RestorationConfig = DEFAULT,
    context: Context | None = None,
) -> Adapted:
    """Makes a trained restorer fit flagged images, with as little training as they need.

    A network that fills in patches can do so for another patch, too, once it is told where that lies. Whether it does
    is checked on clean images of these data with the patch on, whose true pixels are known.

    Args:
        given: stays as it is, but is moved to the device.
        images: uint8 [N,H,W,C], may be memory-mapped.
        flagged: bool [N].
        members: bool [N], those of the flagged images that are to be restored.
        trigger: how these were made, if that is known.

    Raises:
        RestorerError: the restorer is for images of another size.
    """
    context = Context() if context is None else context
    given.check(images.shape[1:])
    given = given.to(context.device)
    known = given.trigger
    if trigger is None or known is None or not config.use_estimate:
        return Adapted(given, "used as it is; nothing tells beforehand how well it fits")
    if not known.replaces and (known.evidence(images[members]) > 0).mean() >= rules.PATTERN_KNOWN:
        return Adapted(given, "used as it is; it knows this trigger")
    if not (known.replaces and trigger.replaces):
        trained = train_restorer(images, flagged, trigger, config, context)
        return Adapted(trained, "replaced; it knows another kind of trigger")
    restorer = Restorer(dataclasses.replace(given.architecture, kind=trigger.kind)).to(context.device).eval()
    network = {name: tensor for name, tensor in given.state_dict().items() if not name.startswith("trigger.")}
    restorer.load_state_dict(network | {f"trigger.{name}": tensor for name, tensor in trigger.state_dict().items()})
    pairs = Pairs(images, np.flatnonzero(~flagged), config, context)
    if pairs.gain(restorer) >= rules.WARM_START_GAIN:
        return Adapted(restorer, "used as it is, with the patch that was found here")
    steps = max(1, round(FINE_TUNING * config.supervised_steps))
    pairs.train(restorer, steps)
    return Adapted(restorer, f"fine-tuned for {steps} steps")
