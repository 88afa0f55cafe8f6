"""How far repaired photographs are from their originals, at their own size."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unpoison import metrics

from ..shapes import Pixels


class Repaired(NamedTuple):
    """One photograph, uint8 [H,W,3], from the camera to the user."""

    original: Pixels
    stamped: Pixels
    """As the attacker has it; the original where nothing was stamped."""
    given: Pixels
    """As it comes: saved as JPEG once stamped."""
    served: Pixels
    """As it is repaired."""


@dataclasses.dataclass
class _Pooled:
    """A mean over the values of many arrays."""

    total: float = 0.0
    count: int = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        self.total += float(values.sum(dtype=np.float64))
        self.count += values.size

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


def repair_errors(photographs: Iterable[Repaired]) -> dict[str, Any]:
    """Mean absolute differences of pixel values in 0..1 to the originals, pooled over photographs, pixels and channels,
    and those of leaving the photographs as they come, "_nothing": over the pixels that the stamp changed in any
    channel, "_changed"; over all others, "_elsewhere"; and over all, "apd".

    `touched_elsewhere` is the share of the other pixels that are not served as they come. What is measured over no
    pixels is None. Photographs are taken one at a time.
    """
    measures = ("error_changed", "error_elsewhere", "apd")
    names = [*measures, *(f"{name}_nothing" for name in measures), "touched_elsewhere", "changed_pixels_share"]
    pooled = {name: _Pooled() for name in names}
    for original, stamped, given, served in photographs:
        changed = (stamped != original).any(2)
        for ending, image in (("", served), ("_nothing", given)):
            error = np.abs(image.astype(np.float32) - original) / 255
            pooled[f"error_changed{ending}"].add(error[changed])
            pooled[f"error_elsewhere{ending}"].add(error[~changed])
            pooled[f"apd{ending}"].add(error)
        pooled["touched_elsewhere"].add((served != given).any(2)[~changed])
        pooled["changed_pixels_share"].add(changed)
    out = {name: values.mean for name, values in pooled.items()}
    elsewhere, left = out["error_elsewhere"], out["error_elsewhere_nothing"]
    return out | {
        "error_changed_ratio": metrics.ratio(out["error_changed"], out["error_changed_nothing"]),
        "error_elsewhere_added": None if elsewhere is None or left is None else elsewhere - left,
    }
