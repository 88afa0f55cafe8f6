"""What a source of frozen features is."""

import dataclasses
from collections.abc import Callable

from torch import nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """A pretrained network that says what images show, and is not trained here.

    Registered by `register_features`, or named by an installed package in the entry point group `unpoison.features`, it
    is a setting: `DetectionConfig(features=name)`; or it is given as one, `features=source`. What the images as they
    came show, and what restored ones do, is then said by linear classifiers on its features. M is none of them, since
    it must learn the trigger.
    """

    name: str
    """Of the setting."""
    load: Callable[[], nn.Module]
    """Makes the network, which maps float32 images [B,3,H,W] in 0..1, of the working size, to features [B,D]. Whatever
    size and scale it needs it sees to itself."""
    source: str
    """The paper, or where its weights come from."""
    version: str = ""
    """Part of the keys under which results are cached: to be changed whenever the features change."""
