"""Sources of frozen features, and their registry: registered ones, other packages', and timm's models on the Hub."""

from importlib.metadata import entry_points

import numpy as np

from ..errors import ConfigError
from ..plugins import offered
from .base import FeatureSource as FeatureSource
from .given import AnyFeatures as AnyFeatures
from .given import check_rows as check_rows
from .given import digest_of as digest_of
from .given import source_of
from .pretrained import PREFIX, check_known, of_the_hub
from .pretrained import timm_features as timm_features

ENTRY_POINTS = "unpoison.features"
"""The group in which other packages name a `FeatureSource` of theirs, under its name."""
_REGISTERED: dict[str, FeatureSource] = {}


def register_features(source: FeatureSource) -> FeatureSource:
    """Makes features available under their name; those that were registered before are replaced.

    Raises:
        ConfigError: it is no `FeatureSource`, or its name is that of a model of timm.
    """
    if not isinstance(source, FeatureSource):
        raise ConfigError(f"register_features takes a FeatureSource, got {type(source).__name__}")
    if source.name.startswith(PREFIX):
        raise ConfigError(f"{source.name!r} names a model of timm: choose another name")
    _REGISTERED[source.name] = source
    return source


def register_given(features: AnyFeatures | None, size: tuple[int, int] | None = None) -> str | None:
    """The name of features that a user gives, under which a source or a function is then known; None of an array.

    Args:
        size: height and width of the images that a function is asked about, where they are known.
    """
    if features is None or isinstance(features, str | np.ndarray):
        return features if isinstance(features, str) else None
    source = features if isinstance(features, FeatureSource) else source_of(features, size)
    return register_features(source).name


def list_features() -> list[str]:
    """The names of all sources but timm's; those of other packages are not loaded for it."""
    return sorted({*_REGISTERED, *entry_points(group=ENTRY_POINTS).names})


def get_features(name: str) -> FeatureSource:
    """Looks a source up.

    Raises:
        ConfigError: none has this name, or that of another package cannot be loaded.
        HubError: it is a model of timm that cannot be found or reached.
        MissingExtraError: timm is not installed.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if (found := offered(ENTRY_POINTS, name, FeatureSource)) is not None:
        return found
    if name.startswith(PREFIX):
        return of_the_hub(name)
    raise _unknown(name)


def check_features(name: str) -> None:
    """Looks whether there may be a source of this name; no Hub is asked.

    Raises:
        ConfigError: there is none.
        MissingExtraError: it is a model of timm, which is not installed.
    """
    if name in list_features():
        return
    if not name.startswith(PREFIX):
        raise _unknown(name)
    check_known(name)


def _unknown(name: str) -> ConfigError:
    known = [*list_features(), "a model of timm, such as timm/resnet18.a1_in1k"]
    return ConfigError(f"unknown features {name!r}: choose {' or '.join(known)}")
