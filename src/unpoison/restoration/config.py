"""Settings of restoration, and the presets."""

import dataclasses
from typing import Literal

from .. import rules
from ..checks import Above0, AtLeast0, Natural, Positive, UpTo1, checked


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class RestorationConfig:
    """How the restorer is trained and what passes the quality checker.

    Raises:
        ConfigError: a value is of another type or out of range.
    """

    use_estimate: bool = True
    """Explain the poisoning first and invert it, with a restorer trained on pairs made with the explanation for
    replaced pixels. The CycleGAN is then trained only where nothing explains the flagged images."""
    supervised_steps: Natural = 300
    """Batches of synthetic pairs from which the restorer learns to fill in patches; 0 fills them from their
    surroundings. Patterns need none: they are inverted."""
    cyclegan_epochs: Natural = 0
    """Passes over the flagged-clean images (published 100); 0 leaves images alone that no trigger explains, and
    the quality checker drops those that still show the trigger. In minutes on a CPU the CycleGAN learns too little:
    150 batches on CIFAR-10 took warped images further from their originals (.0204 instead of .0193)."""
    cyclegan_max_steps: Positive | None = None
    """Ends the CycleGAN's training after this many batches, None never."""
    batch_size: Positive = 64
    """Published 64."""
    learning_rate: Above0 = 1e-3
    """Of Adam. Published 1e-4, for far more steps."""
    width: Positive = 16
    """Channels of the generators' first level."""
    transformer_depth: Natural = 2
    """Transformer blocks between encoder and decoder of a generator; 0 makes it a plain U-Net."""
    granularities: Literal[1, 2, 3] = 3
    """Grids on which a discriminator of the CycleGAN looks at images, of 8x8, 4x4 and 2x2 patches: so many of them,
    the finest first."""
    cycle_weight: AtLeast0 = 10.0
    """Of the cycle-consistency losses, equations 4 and 5."""
    content_weight: AtLeast0 = 1.0
    """Of the content-preserving losses, equations 6 and 7."""
    residual: bool = True
    """Generators add a correction to their input instead of drawing the image anew."""
    positions: bool = True
    """Generators see where each pixel lies: without it, convolutions cannot place a trigger at full resolution."""
    steganography_noise: AtLeast0 = 2 / 255
    """Deviation of the noise before the second generator of a cycle, whose input is also rounded to grey levels:
    otherwise the first hides the trigger in a faint code for the second. 0 switches both off."""
    max_clean_error: AtLeast0 | None = 0.005
    """A CycleGAN that changes clean images by more than this (mean absolute, 0..1) is scaled down until it does
    not; None takes it as it is."""
    min_confidence: UpTo1 = rules.LEAST_CONFIDENCE
    """Restored images on which the clean classifier is less sure are dropped."""
    max_pull: Above0 = rules.MOST_PULL
    """Restored images are dropped on which the suspicious model leans to the flagged label more than this many
    robust standard deviations above clean images that the clean classifier puts into the same class."""


DEFAULT = RestorationConfig()

PAPER = RestorationConfig(
    use_estimate=False,
    supervised_steps=0,
    cyclegan_epochs=100,
    cyclegan_max_steps=None,
    batch_size=64,
    learning_rate=1e-4,
    width=64,
    transformer_depth=6,
    residual=False,
    positions=False,
    steganography_noise=0.0,
    max_clean_error=None,
)
"""The plain CycleGAN of section 5.1.5. The paper leaves widths, depths and the weights of the losses open."""

FAST = RestorationConfig(supervised_steps=20, batch_size=32, width=8, transformer_depth=1)
"""Seconds: for tests and a first look."""
