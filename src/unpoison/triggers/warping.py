"""Fits a smooth warp to images that no other transform explains."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .base import Estimate
from .detail import Detail
from .statistics import centre_and_spread
from .warp import MARGIN, Warp, cut

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


def find_warp(
    suspects: npt.NDArray[np.uint8],
    images: npt.NDArray[np.uint8],
    clean: npt.NDArray[np.int64],
    found: Warp | None = None,
    *,
    seed: int,
) -> Estimate | None:
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
    detail = Detail(windows, (height, width, channels))
    suspected, usual = _cut(suspects[:: 1 + len(suspects) // FITTED]), _cut(images[np.sort(clean[:SCREENING])])

    def flow(points: Tensor) -> Tensor:
        interpolated = F.interpolate(points, (height, width), mode="bicubic", align_corners=True)[0]
        return interpolated.clamp(-MARGIN, MARGIN)

    def loss(points: Tensor) -> Tensor:
        return -F.softplus(detail.scores(flow(points), suspected) / DOUBT).mean()

    @torch.no_grad()
    def calibration(points: Tensor) -> Tensor | None:
        """See `Estimate`; None where the warp is none."""
        scores = detail.scores(flow(points), suspected)
        centre, spread = centre_and_spread(detail.scores(flow(points), usual))
        if (scores > 0).float().mean() < rules.WARP_SHOWN or scores.median() < centre + rules.WARP_SEPARATION * spread:
            return None
        shown, width = centre_and_spread(scores[scores > 0])
        # The warp was fitted to these images, and they show it more alike than others will.
        return torch.stack([centre, spread, shown, width.clamp_min(spread / 2)])

    def search(points: Tensor, steps: int, last_rate: float) -> Tensor:
        points = points.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([points], RATE)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, last_rate / RATE, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(loss(points))
            optimizer.step()
            schedule.step()
        return points.detach()

    if found is None:
        starts = START * torch.randn(STARTS, 1, 2, GRID, GRID, generator=torch.Generator().manual_seed(seed))
        best = search(starts[0], SCREENED, RATE)
        if calibration(best) is None:
            return None
        best = min(
            best, *(search(start, SCREENED, RATE) for start in starts[1:]), key=lambda points: float(loss(points))
        )
    else:
        best = F.interpolate(found.flow[None], (GRID, GRID), mode="bilinear", align_corners=True)
    best = search(best, STEPS, RATE / STEPS)
    calibrated = calibration(best)
    if calibrated is None:
        return None
    estimate = Estimate("warp", (height, width, channels)).set(calibration=calibrated)
    assert estimate.warp is not None
    estimate.warp.load_state_dict({"flow": flow(best), "whitening": detail.whitening(flow(best))})
    return estimate


def _cut(images: npt.NDArray[np.uint8], margin: int = 0) -> Tensor:
    return cut(as_input(torch.from_numpy(images)), margin)
