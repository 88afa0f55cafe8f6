"""Pairs of clean images and the same with a patch on: they teach and test what was under it."""

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..context import Context
from ..training.loop import as_input
from ..training.threads import follow_load
from ..triggers import Trigger
from .config import RestorationConfig
from .restorer import Restorer

_HELD_OUT = 128


class Pairs:
    """Stamps the patch that a restorer expects on clean images.

    Args:
        images: uint8 [N,H,W,C], may be memory-mapped.
        clean: int64 [M], positions of clean ones.
        config: size of the batches and learning rate.
        context: its seed is of the images that are held out, and of the batches.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        clean: npt.NDArray[np.int64],
        config: RestorationConfig,
        context: Context,
    ) -> None:
        self._rng = np.random.default_rng(context.seed)
        self._images, self._config, self._context = images, config, context
        clean = self._rng.permutation(clean)
        self._held_out, self._clean = clean[:_HELD_OUT], clean[min(_HELD_OUT, len(clean) // 5) :]

    def train(
        self,
        restorer: Restorer,
        steps: int,
        others: Callable[[], Trigger] | None = None,
    ) -> None:
        """Teaches the generator what is under the patch, starting from the inverted trigger.

        If it ends no nearer to held-out images than it started, the inverted trigger stays alone.

        Args:
            others: draws a patch for each batch, in place of the restorer's own: it then fills in any of their kind.
        """
        learning_rate, size = self._config.learning_rate, min(self._config.batch_size, len(self._clean))
        optimizer = torch.optim.Adam(restorer.generator.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=max(1, steps))
        patch = _patch(restorer)
        own = copy.deepcopy(patch.state_dict())
        restorer.generator.to(memory_format=torch.channels_last).train()
        for step in range(steps):
            follow_load()
            if others is not None:
                patch.load_state_dict(others().state_dict())
            stamped, x = self._pair(restorer, self._rng.choice(self._clean, size))
            loss = _error(restorer, stamped, restorer.correct(stamped), x)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            self._context.update((step + 1) / steps)
        restorer.generator.eval()
        patch.load_state_dict(own)
        if self.gain(restorer) <= 0:
            restorer.invert_only()

    @torch.inference_mode()
    def gain(self, restorer: Restorer) -> float:
        """How much nearer the generator comes to held-out images than the inverted trigger alone, of its error."""
        stamped, x = self._pair(restorer, self._held_out)
        inverted = _error(restorer, stamped, _patch(restorer).invert(stamped), x)
        return 1 - float(_error(restorer, stamped, restorer.correct(stamped), x) / inverted.clamp_min(1e-9))

    def _pair(self, restorer: Restorer, index: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        x = as_input(torch.from_numpy(self._images[np.sort(index)]).to(self._context.device))
        with torch.no_grad():
            stamped = _patch(restorer).stamp(x)
        return stamped, x


def _patch(restorer: Restorer) -> Trigger:
    assert restorer.trigger is not None
    return restorer.trigger


def _error(restorer: Restorer, stamped: Tensor, restored: Tensor, x: Tensor) -> Tensor:
    # Only the patch can be wrong: the mean over the image would hide it.
    hole = _patch(restorer).hole(stamped)
    return ((restored - x).abs() * hole).mean() / hole.mean()
