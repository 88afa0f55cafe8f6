"""Patches: pixels that show one and the same value in most flagged images, and in few clean ones."""

import dataclasses
import math
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .base import Comparison, Trigger
from .pattern import fit_pattern
from .registry import register_trigger
from .statistics import LEVELS, apart

_CHANCE = 1e-4
"""Share of clean images that match by chance where a patch would stand out: practically none."""


@register_trigger
class Patch(Trigger):
    """Pixels that are replaced, maybe over a pattern on the others: x' = a x + b, where a is 0 under the patch.

    Attributes:
        scale: float32 [C,H,W], a.
        shift: float32 [C,H,W], b, with grey levels in 0..1.
        tolerance: float32 [], deviation from b that still counts as a match.
        contrast: float32 [2]: below which contrast a match is little evidence, because the surroundings look the same,
            and the share of clean images that match by chance there.
    """

    kind = "patch"
    description = "a patch, which replaces pixels"
    order = 10
    replaces = True
    _hardly_seen: ClassVar[float] = rules.PATCH_CONTRAST["patch"]

    scale: Tensor
    shift: Tensor
    tolerance: Tensor
    contrast: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        height, width, channels = shape
        self.register_buffer("scale", torch.ones(channels, height, width))
        self.register_buffer("shift", torch.zeros(channels, height, width))
        self.register_buffer("tolerance", torch.zeros(()))
        self.register_buffer("contrast", torch.zeros(2))

    @classmethod
    def find(cls, comparison: Comparison) -> Self | None:
        shares, clean = comparison.shares, comparison.reference.shares
        seen = find_patch(shares, clean, comparison.shape)
        if seen is None or is_pattern(seen[0], shares, clean, len(comparison.suspects)):
            return None
        return cls.of(*seen, comparison.reference.images)

    @classmethod
    def of(cls, mask: Tensor, values: Tensor, reference: npt.NDArray[np.uint8]) -> Self:
        """`covering`, which learns from clean images uint8 [M,H,W,C] how often they match by chance."""
        found = cls.covering(mask, values)
        shown, contrast = found._compared(reference)
        found._calibrate(shown >= rules.PATCH_MATCHED, contrast)
        return found

    @classmethod
    def covering(cls, mask: Tensor, values: Tensor) -> Self:
        """A patch where a mask bool [H,W] is, of values float32 [H,W,C] in 0..1; not yet calibrated."""
        height, width, channels = values.shape
        hole = mask[None].float()
        return cls((height, width, channels)).set(
            scale=(1 - hole).expand(channels, -1, -1),
            shift=values.permute(2, 0, 1) * hole,
            tolerance=torch.tensor((rules.PATCH_WINDOW + 0.5) / 255),
        )

    def _calibrate(self, matched: Tensor, contrast: Tensor) -> None:
        """Sets what clean images do: whether each matches, bool [M], and how the patch would stand out, float [M]."""
        # Half of the clean images that match by chance would do so on even ground.
        border = torch.tensor(self._hardly_seen)
        flat = contrast < border
        chance = (matched & flat).sum().add(0.5) / flat.sum().add(1)
        self.set(contrast=torch.stack([border, chance.clamp(0.01, 0.99)]))

    def conclude(self, comparison: Comparison) -> Self | None:
        """None where other images show it in part; with the pattern under it, if the images that show it have one."""
        clean, shown = self._standing_out(comparison.reference.images), self._standing_out(comparison.suspects)
        # Who shows it is no measure for others: some of the poison may not be flagged.
        if not apart(clean[clean < rules.PATCH_MATCHED], shown):
            return None
        if len(comparison.suspects) >= rules.LEAST_FLAGGED:
            self._look_below(comparison)
        return self

    def _look_below(self, comparison: Comparison) -> None:
        suspects = comparison.suspects
        with torch.inference_mode():
            filled = [self.invert(as_input(chunk)) for chunk in torch.split(torch.from_numpy(suspects), EVAL_BATCH)]
        bare = (torch.cat(filled) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        pattern = fit_pattern(dataclasses.replace(comparison, suspects=bare))
        if pattern is not None:
            hole = self.scale < rules.REPLACED
            self.set(
                scale=torch.where(hole, self.scale, pattern.scale), shift=torch.where(hole, self.shift, pattern.shift)
            )

    def stamp(self, images: Tensor) -> Tensor:
        return (self.scale * images + self.shift).clamp(0, 1)

    def invert(self, images: Tensor) -> Tensor:
        hole = self._hole
        mixed_in = ((images - self.shift) / torch.where(hole > 0, 1, self.scale)).clamp(0, 1)
        return fill(mixed_in, hole[None])

    def log_odds(self, images: Tensor) -> Tensor:
        # A clean image matches by chance with probability `contrast[1]` where the patch would hardly show.
        shown, contrast = self.compare(images)
        chance = torch.where(contrast < self.contrast[0], self.contrast[1], self._elsewhere)
        return torch.where(shown >= rules.PATCH_MATCHED, -chance.log(), math.log(_CHANCE))

    def at(self, size: tuple[int, int]) -> Self:
        """The patch covers every pixel that it touches."""
        hole = F.adaptive_max_pool2d(self._hole[None], size)[0]
        known, shift = (F.adaptive_avg_pool2d(maps[None], size)[0] for maps in (self._hole, self.shift))
        inside = F.adaptive_avg_pool2d((self.shift * self._hole)[None], size)[0] / known.clamp_min(1e-9)
        scale = F.adaptive_avg_pool2d(self.scale[None], size)[0]
        return self._resized(size, scale=torch.where(hole > 0, 0, scale), shift=torch.where(hole > 0, inside, shift))

    def hole(self, images: Tensor) -> Tensor:
        return self._placed(images)[0]

    def compare(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """How float images [B,C,H,W] look where the patch is.

        Returns:
            The share of its values that they show, float [B], and how much it would stand out of what surrounds it,
            float [B], a mean absolute difference in 0..1.
        """
        hole, shift = self._placed(images)
        shown = _mean_inside(((images - shift).abs() <= self.tolerance).float(), hole)
        return shown, _mean_inside((fill(images, hole) - shift).abs(), hole)

    @property
    def _hole(self) -> Tensor:
        return (self.scale < rules.REPLACED).any(0, keepdim=True).float()

    @property
    def _elsewhere(self) -> Tensor:
        """Share [] of clean images that match by chance where the patch would stand out."""
        return self.tolerance.new_tensor(_CHANCE)

    def _placed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Where and what the patch is on float images [B,C,H,W]: float [1 or B,1,H,W], 1 where a pixel is replaced, and
        b, float [1 or B,C,H,W]."""
        return self._hole[None], self.shift[None]

    def _compared(self, images: npt.NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """`compare` of uint8 images [N,H,W,C]."""
        with torch.inference_mode():
            parts = [self.compare(as_input(x)) for x in torch.split(torch.from_numpy(images), EVAL_BATCH)]
        return torch.cat([shown for shown, _ in parts]), torch.cat([contrast for _, contrast in parts])

    def _standing_out(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """The share of its values that images show, float32 [n], without those in which it would hardly be seen."""
        shown, contrast = self._compared(images)
        return shown[contrast >= self.contrast[0]]


def find_patch(
    flagged: Tensor, clean: Tensor, shape: tuple[int, int, int], largest: float = rules.PATCH_AREA
) -> tuple[Tensor, Tensor] | None:
    """Looks for pixels with a constant value.

    Args:
        flagged: float32 [H*W*C,256], histograms of D_p.
        clean: the same for clean images of D_p's content.
        largest: share of the pixels that they may be.

    Returns:
        The mask bool [H,W] and the values float32 [H,W,C] in 0..1, or None.
    """
    height, width, channels = shape
    share, value = _commonest(flagged)
    expected = _in_window(clean).gather(1, value[:, None])[:, 0]
    constant = (share >= rules.PATCH_SHOWN) & (share - expected >= rules.PATCH_EXCESS)
    mask = constant.view(shape).float().mean(2) > 0.5
    if not mask.any() or mask.float().mean() > largest:
        return None
    # The commonest level inside the window; ties of an even plateau go to its middle.
    level = torch.arange(LEVELS)
    near = (level - value[:, None]).abs() <= rules.PATCH_WINDOW
    inside = flagged * near
    values = (inside * level).sum(1) / inside.sum(1).clamp_min(1e-9)
    return mask, (values / 255).view(height, width, channels)


def is_pattern(mask: Tensor, flagged: Tensor, clean: Tensor, count: int) -> bool:
    """Whether the constant pixels of a mask bool [H,W] are the even ground of images under a pattern.

    A pattern moves the commonest value of a pixel, but makes it no commoner. Where the ground is even, that does not
    tell a patch from a pattern; then there is no patch if much of the image outside the mask has changed, too.

    Takes the histograms of `find_patch` and the number of flagged images.
    """
    gain = (_commonest(flagged)[0] - _commonest(clean)[0]).view(*mask.shape, -1)[mask].mean()
    return bool(gain < rules.PATCH_GAIN) and _changes_elsewhere(mask, flagged, clean, count)


def fill(images: Tensor, hole: Tensor) -> Tensor:
    """Averages known pixels with weights that fall with distance, from the border of a hole inwards."""
    known = 1 - hole
    out = images * known
    kernel = torch.tensor([1.0, 2.0, 1.0], device=images.device)
    kernel = (kernel[:, None] * kernel / 16)[None, None]
    for _ in range(max(images.shape[2:])):
        if bool(known.all()):
            break
        weight = F.conv2d(known, kernel, padding=1)
        blurred = F.conv2d(out.flatten(0, 1)[:, None], kernel, padding=1).view_as(out)
        border = ((weight > 0) & (known == 0)).float()
        out = out + border * blurred / weight.clamp_min(1e-6)
        known = known + border
    return out


def _commonest(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Share of the images and grey level [H*W*C] of the commonest value of each pixel."""
    share, level = _in_window(shares).max(1)
    return share, level


def _in_window(shares: Tensor) -> Tensor:
    """Share of the values around each grey level, [H*W*C,256]."""
    return F.conv1d(shares[:, None], torch.ones(1, 1, 2 * rules.PATCH_WINDOW + 1), padding=rules.PATCH_WINDOW)[:, 0]


def _changes_elsewhere(mask: Tensor, flagged: Tensor, clean: Tensor, count: int) -> bool:
    level = torch.arange(LEVELS).float()
    mean, usual = flagged @ level, clean @ level
    deviation = (clean @ level.square() - usual.square()).clamp_min(0.25).sqrt() / count**0.5
    changed = (mean - usual).abs() > rules.CHANGED_DEVIATION * deviation
    outside = changed.view(*mask.shape, -1)[~mask]
    return bool(outside.float().mean() > rules.CHANGED_SHARE)


def _mean_inside(maps: Tensor, hole: Tensor) -> Tensor:
    """Mean [B] of maps [B,C,H,W] where the hole [1 or B,1,H,W] is 1."""
    return (maps * hole).sum((1, 2, 3)) / (hole.sum((1, 2, 3)) * maps.shape[1])
