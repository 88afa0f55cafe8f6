"""Frozen networks that remember what they have said: many classifiers ask them about the same images."""

import hashlib
import weakref

import torch
from torch import Tensor

from ..errors import ConfigError
from ..features import FeatureSource, get_features

BATCH = 64
"""Images at once: pretrained networks look at large ones."""
REMEMBERED = 1 << 30
"""Bytes of features that are remembered at most; what is beyond is worked out again."""
_FROZEN: "weakref.WeakValueDictionary[tuple[str, str, str], Frozen]" = weakref.WeakValueDictionary()


class Frozen:
    """A source of features on a device. It lives as long as a classifier needs it."""

    def __init__(self, source: FeatureSource, device: torch.device) -> None:
        self.name = source.name
        self._network = source.load().to(device).eval().requires_grad_(False)
        self._known: dict[bytes, Tensor] = {}
        self._bytes = 0

    def features(self, images: Tensor) -> Tensor:
        """As `ask`, of 8-bit images; what was said of them before is remembered."""
        pixels = (images * 255).round().to(torch.uint8).cpu().contiguous().numpy()
        keys = [hashlib.blake2b(image, digest_size=16).digest() for image in pixels]
        missing = [row for row, key in enumerate(keys) if key not in self._known]
        fresh: dict[bytes, Tensor] = {}
        if missing:
            said = self.ask(images[missing])
            fresh = {keys[row]: features for row, features in zip(missing, said, strict=True)}
            if self._bytes + said.nbytes <= REMEMBERED:
                self._known |= fresh
                self._bytes += said.nbytes
        return torch.stack([self._known[key] if key in self._known else fresh[key] for key in keys])

    @torch.no_grad()
    def ask(self, images: Tensor) -> Tensor:
        """float32 [B,D] of images as float [B,C,H,W] in 0..1, on the device.

        Raises:
            ConfigError: the source gives something else.
        """
        # In full precision wherever it is called from, so that the same image has the same features.
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([self._said(part) for part in torch.split(images, BATCH)])

    def _said(self, images: Tensor) -> Tensor:
        said: Tensor = self._network(images.float().expand(-1, 3, -1, -1)).float()
        if said.ndim != 2 or len(said) != len(images) or not bool(said.isfinite().all()):
            raise ConfigError(
                f"features {self.name!r} must be finite and of shape [{len(images)},D], not {list(said.shape)}"
            )
        return said


def frozen(name: str, device: torch.device) -> Frozen:
    """The source of this name on a device, which all classifiers there share; raises as `get_features`."""
    source = get_features(name)
    key = (name, source.version, str(device))
    found = _FROZEN.get(key)
    if found is None:
        found = _FROZEN[key] = Frozen(source, device)
    return found
