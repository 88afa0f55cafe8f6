"""Published defences, to compare with: reimplemented on given features, and one that heals a model (`nad`).

`spectral`, `spectre`, `post_training` and `art` are told the true rate of poison, as their papers assume;
`activation_clustering` and `scan` decide by themselves.
"""

from . import activation_clustering, art, post_training, scan, spectral, spectre
from .base import Detect
from .base import Verdict as Verdict

BASELINES: dict[str, Detect] = {
    "spectral": spectral.detect,
    "activation_clustering": activation_clustering.detect,
    "scan": scan.detect,
    "spectre": spectre.detect,
    "post_training": post_training.detect,
    "art": art.detect,
}
"""Detectors by name."""
TOLD = ("spectral", "spectre", "post_training", "art")
"""Those that are told the true rate of poison."""
