"""`Trigger`: what every kind of trigger can do, and is known by; `Comparison`: what it is looked for in."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..training.loop import EVAL_BATCH, as_input
from .reference import Reference
from .statistics import histograms

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Suspects and clean images: what a kind of trigger is looked for in, see `Trigger.find`.

    Attributes:
        suspects: uint8 [n,H,W,C], flagged images.
        reference: clean images of the same content, and statistics of them.
        false_positives: the expected share of clean images among the suspects.
        earlier: what earlier rounds found, by kind.
        seed: of whatever is drawn.
    """

    suspects: npt.NDArray[np.uint8]
    reference: Reference
    false_positives: float
    earlier: Mapping[str, "Trigger"]
    seed: int
    _known: dict[Callable[["Comparison"], Any], Any] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.suspects.shape[1:]
        return height, width, channels

    @cached_property
    def shares(self) -> Tensor:
        """`histograms` of the suspects, float32 [H*W*C,256]."""
        return histograms(self.suspects)

    def once(self, work: Callable[["Comparison"], T]) -> T:
        """What a function makes of this comparison, worked out once for all kinds that ask for it."""
        if work not in self._known:
            self._known[work] = work(self)
        found: T = self._known[work]
        return found


class Trigger(nn.Module, ABC):
    """How poisoned images were made, as far as their pixels tell: stamps it, takes it off, and finds it in others.

    What was fitted is kept in float32 buffers, so that a restorer which holds a trigger saves and moves it with its
    weights. A subclass is built from the shape of the images alone, and its buffers are filled in afterwards.

    Args:
        shape: (H, W, C) of the images.

    Attributes:
        kind: the name of the kind, in reports and in the files of restorers.
        description: what it does to an image, part of a sentence: "a patch, which replaces pixels".
        order: kinds are tried in ascending order, and the first that is found explains the images; those of the
            package are at 10 to 50.
        replaces: whether pixels are lost under the trigger, so that a network has to fill them in.
        moves: whether it lies elsewhere in every image.
    """

    kind: ClassVar[str]
    description: ClassVar[str]
    order: ClassVar[int] = 100
    replaces: ClassVar[bool] = False
    moves: ClassVar[bool] = False

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    @classmethod
    @abstractmethod
    def find(cls, comparison: Comparison) -> Self | None:
        """The trigger that the suspects of a comparison share and its clean images lack, or None.

        Called in rounds: the suspects of the next one are the flagged images that show what was found.
        """

    @abstractmethod
    def stamp(self, images: Tensor) -> Tensor:
        """Float images [B,C,H,W] in 0..1 with the trigger on them."""

    @abstractmethod
    def invert(self, images: Tensor) -> Tensor:
        """Float images [B,C,H,W] in 0..1 without the trigger; replaced pixels are filled from around them."""

    @abstractmethod
    def log_odds(self, images: Tensor) -> Tensor:
        """Log-likelihood ratio [B] of "carries the trigger" over "does not", for float images [B,C,H,W] in 0..1.

        Between -3 and 3 the pixels do not decide (a white patch on white ground).
        """

    @abstractmethod
    def at(self, size: tuple[int, int]) -> Self:
        """The trigger for images of another size (H, W): a new one, with positions and patterns scaled."""

    def conclude(self, comparison: Comparison) -> Self | None:
        """The trigger as it is after the last round, whose suspects show it; None where it is none after all."""
        return self

    def hole(self, images: Tensor) -> Tensor:
        """Where pixels of float images [B,C,H,W] are lost under the trigger: float [1 or B,1,H,W], 1 there, else 0."""
        return images.new_zeros(1, 1, *images.shape[2:])

    def helps(self, images: npt.NDArray[np.uint8]) -> bool:
        """Whether taking it off leaves less of an error, over the whole image, than leaving it on.

        Args:
            images: clean, uint8 [N,H,W,C].
        """
        return True

    @property
    def copies(self) -> bool:
        """Whether images that share so much are copies of each other, and no trigger is on them."""
        return False

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return next((tensor.device for tensor in (*self.buffers(), *self.parameters())), torch.device("cpu"))

    def set(self, **tensors: Tensor) -> Self:
        """Assigns buffers by name."""
        for name, value in tensors.items():
            getattr(self, name).copy_(value)
        return self

    @torch.inference_mode()
    def evidence(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """`log_odds` of uint8 images [N,H,W,C] as float32 [N].

        Positive: the trigger is present. Between -3 and 3 the pixels do not decide: keep what the detector said.
        """
        chunks = (images[start : start + EVAL_BATCH] for start in range(0, len(images), EVAL_BATCH))
        found = [self.log_odds(self._input(chunk)).cpu() for chunk in chunks]
        return torch.cat(found).numpy() if found else np.empty(0, np.float32)

    @torch.inference_mode()
    def footprint(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Mean absolute change in grey levels, float32 [H,W] in 0..255, that stamping makes to uint8 [N,H,W,C]."""
        x = self._input(images)
        change: npt.NDArray[np.float32] = (self.stamp(x) - x).abs().mean((0, 1)).mul(255).float().cpu().numpy()
        return change

    def _resized(self, size: tuple[int, int], **maps: Tensor) -> Self:
        """A copy for another size, with these buffers in place of its own."""
        other = type(self)((*size, self.shape[2])).to(self.device)
        return other.set(**dict(self.named_buffers()) | maps)

    def _input(self, images: npt.NDArray[np.uint8]) -> Tensor:
        return as_input(torch.from_numpy(np.asarray(images)).to(self.device))
