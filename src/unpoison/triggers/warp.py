"""Warps: a smooth one is fitted to the detail of images that nothing else explains."""

import copy
import dataclasses
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .base import Comparison, Trigger
from .detail import Detail
from .flow import MARGIN, Flow, cut
from .registry import register_trigger
from .resizing import resized
from .statistics import centre_and_spread, score_log_odds

GRID, LEAST_SIDE = 6, 16
"""Side of the grid of control points; finer warps are not found. In smaller images the points lie as close as the
pixels, and such a flow makes any style of writing out of any other."""
STARTS, SCREENED, STEPS = 6, 10, 30
"""Searches, the steps of each, and the further steps of the best. Right and left blur almost alike, so that a search
may end with part of the warp mirrored: less likely, and no help for what lies under it."""
RATE, START = 0.1, 0.15
"""Pixels by which a step moves the control points at first, and the spread of those from which a search starts: no warp
at all has no slope."""
DOUBT = 30.0
"""Scale of the scores beyond which a suspect that is not warped pulls at the fit no more."""
FITTED, SCREENING = 300, 1000
"""Suspects whose detail is fitted, and clean images that are looked at for the warp."""
_CLEAN = 4000
"""Clean images whose detail is measured; the content of those that a group leaves out has no probabilities."""


@register_trigger
class Warp(Trigger):
    """Pixels are taken from beside their places, by the same way in all images.

    Attributes:
        warp: the way, and what detail it leaves.
        calibration: float32 [4], see `score_log_odds`.
        judged: size (H, W) of the images whose detail is known.
    """

    kind = "warp"
    description = "a warp of the whole image"
    order = 50

    calibration: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.judged = shape[:2]
        self.warp = Flow(*self.judged)
        self.register_buffer("calibration", torch.tensor([0.0, 1.0, 0.0, 1.0]))

    @classmethod
    def find(cls, comparison: Comparison) -> Self | None:
        reference, earlier = comparison.reference, comparison.earlier.get(cls.kind)
        start = earlier.warp if isinstance(earlier, cls) else None
        found = find_warp(comparison.suspects, reference.dataset, reference.draw(_CLEAN), start, seed=comparison.seed)
        if found is None:
            return None
        trigger = cls(comparison.shape).set(calibration=found.calibration)
        trigger.warp.set(found.flow, found.whitening)
        return trigger

    def stamp(self, images: Tensor) -> Tensor:
        warped: Tensor = self.warp(images)
        return warped.clamp(0, 1)

    def invert(self, images: Tensor) -> Tensor:
        return self.warp.undo(images).clamp(0, 1)

    def log_odds(self, images: Tensor) -> Tensor:
        return score_log_odds(self.warp.scores(self._as_judged(images)), self.calibration)

    def at(self, size: tuple[int, int]) -> Self:
        """Images are judged as if they were resized to the size at which it was fitted, since detail tells only at the
        size at which it was lost. This copy cannot be saved."""
        other = copy.deepcopy(self)
        factors = self.warp.flow.new_tensor([new / old for new, old in zip(size[::-1], self.shape[1::-1], strict=True)])
        other.warp.flow = resized(self.warp.flow[None], size)[0] * factors[:, None, None]
        other.shape = (*size, self.shape[2])
        return other

    def _as_judged(self, images: Tensor) -> Tensor:
        return images if images.shape[2:] == self.judged else resized(images, self.judged)


class FoundWarp(NamedTuple):
    """See `Warp` and `Flow`."""

    flow: Tensor
    whitening: Tensor
    calibration: Tensor


def find_warp(
    suspects: npt.NDArray[np.uint8],
    images: npt.NDArray[np.uint8],
    clean: npt.NDArray[np.int64],
    found: Flow | None = None,
    *,
    seed: int,
) -> FoundWarp | None:
    """The warp under which what detail the suspects have, and where, is likeliest, or None.

    Args:
        suspects: uint8 [N,H,W,C].
        images: uint8 [M,H,W,C], may be memory-mapped.
        clean: int64 [m], clean ones among them, in random order; six for each value of a window, at most 2,400.
        found: where the search starts, if other suspects have shown a warp already.
        seed: of other starts.
    """
    height, width, channels = suspects.shape[1:]
    if min(height, width) < LEAST_SIDE:
        return None
    chunks = np.array_split(np.sort(clean), 1 + len(clean) // EVAL_BATCH)
    windows = torch.cat([_cut(images[chunk], MARGIN) for chunk in chunks], 1)
    if not Detail.suffices(windows):
        return None
    fit = _Fit(
        Detail(windows, (height, width, channels)),
        suspected=_cut(suspects[:: 1 + len(suspects) // FITTED]),
        usual=_cut(images[np.sort(clean[:SCREENING])]),
        size=(height, width),
    )
    if found is None:
        start = fit.screened(seed)
    else:
        start = F.interpolate(found.flow[None], (GRID, GRID), mode="bilinear", align_corners=True)
    if start is None:
        return None
    best = fit.search(start, STEPS, RATE / STEPS)
    calibration, flow = fit.calibration(best), fit.flow(best)
    return None if calibration is None else FoundWarp(flow, fit.detail.whitening(flow), calibration)


@dataclasses.dataclass(frozen=True)
class _Fit:
    """Fits control points, float32 [1,2,GRID,GRID] in pixels, of a warp to the detail of suspects."""

    detail: Detail
    suspected: Tensor
    """float32 [T,n,D], tiles of suspects."""
    usual: Tensor
    """float32 [T,m,D], of clean images."""
    size: tuple[int, int]
    """(H, W) of the images."""

    def flow(self, points: Tensor) -> Tensor:
        """The warp of control points: float32 [2,H,W] in pixels."""
        interpolated = F.interpolate(points, self.size, mode="bicubic", align_corners=True)[0]
        return interpolated.clamp(-MARGIN, MARGIN)

    def loss(self, points: Tensor) -> Tensor:
        return -F.softplus(self.detail.scores(self.flow(points), self.suspected) / DOUBT).mean()

    @torch.no_grad()
    def calibration(self, points: Tensor) -> Tensor | None:
        """See `score_log_odds`; None where the warp is none."""
        scores = self.detail.scores(self.flow(points), self.suspected)
        centre, spread = centre_and_spread(self.detail.scores(self.flow(points), self.usual))
        if (scores > 0).float().mean() < rules.WARP_SHOWN or scores.median() < centre + rules.WARP_SEPARATION * spread:
            return None
        shown, width = centre_and_spread(scores[scores > 0])
        # The warp was fitted to these images, and they show it more alike than others will.
        return torch.stack([centre, spread, shown, width.clamp_min(spread / 2)])

    def screened(self, seed: int) -> Tensor | None:
        """The best of several short searches; None where the first finds no warp."""
        starts = START * torch.randn(STARTS, 1, 2, GRID, GRID, generator=torch.Generator().manual_seed(seed))
        first = self.search(starts[0], SCREENED, RATE)
        if self.calibration(first) is None:
            return None
        others = (self.search(start, SCREENED, RATE) for start in starts[1:])
        best: Tensor = min(first, *others, key=lambda points: float(self.loss(points)))
        return best

    def search(self, points: Tensor, steps: int, last_rate: float) -> Tensor:
        """Control points from which so many steps lead to likelier ones."""
        points = points.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([points], RATE)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, last_rate / RATE, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(self.loss(points))
            optimizer.step()
            schedule.step()
        return points.detach()


def _cut(images: npt.NDArray[np.uint8], margin: int = 0) -> Tensor:
    return cut(as_input(torch.from_numpy(images)), margin)
