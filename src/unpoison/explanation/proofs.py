"""What makes a trigger count that was found in the pixels: a network obeys it, or those who show it are no others."""

import dataclasses
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import torch

from .. import rules
from ..context import Context
from ..detection.gate import clearly_foreign, foreign_content, outstanding, resembles
from ..detection.verifier import opinion, verify
from ..training.loop import as_input, on_device
from ..triggers import Trigger
from .fit import Fit, pixel_evidence
from .stamping import share_turned
from .verdict import Suspicion


@dataclasses.dataclass
class Proofs:
    """The samples of a dataset, and what a detector and its networks know of them."""

    images: npt.NDArray[np.uint8]
    """[N,H,W,C]."""
    labels: npt.NDArray[np.int64]
    """[N]."""
    suspicion: Suspicion
    causal_rate: float
    """A trigger works when stamping it turns this fraction of other images into its class."""
    context: Context

    def works(self, found: Fit | None, label: int) -> TypeGuard[Fit]:
        """Whether the suspects share it, and stamping it makes the suspicious model say `label` of other images.

        A stroke that belongs to a digit does so as well, but then the verifier, which learned no trigger, follows.
        """
        if found is None or not found.shared:
            return False
        obeyed, natural = share_turned(
            found.trigger,
            [self.suspicion.model, self.suspicion.verifier.model],
            self.images,
            self.labels,
            [label],
            self.context,
        )
        needed = max(rules.PATCH_EFFECT, self.causal_rate) if found.trigger.replaces else self.causal_rate
        return obeyed >= needed and natural <= rules.NATURAL_EFFECT * obeyed

    def foreign(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> float:
        """`foreign_content` of some samples."""
        probabilities, labels = self.suspicion.probabilities[chosen], self.labels[chosen]
        return foreign_content(torch.from_numpy(probabilities), torch.from_numpy(labels))

    def rest_is_foreign(self, label: int, suspects: npt.NDArray[np.bool_]) -> bool:
        """Whether the suspects, bool [N], are what a class looks like, and the rest of it is not."""
        rest = self.foreign((self.labels == label) & ~suspects)
        others = [self.foreign(self.labels == other) for other in np.unique(self.labels) if other != label]
        return rest > max(rules.SURELY_FOREIGN, outstanding(others, rules.FALSE_ALARMS))

    def shown_by_foreign(self, found: Fit | None, further: npt.NDArray[np.int64], looks: int) -> TypeGuard[Fit]:
        """Whether some samples clearly show a trigger, and more foreign content than others.

        Args:
            further: int64 [n], samples that were not chosen for what the verifier says.
            looks: how many triggers are looked at.
        """
        if found is None or found.usual:
            return False
        shown = pixel_evidence(found.trigger, self.images, further) > rules.DETECTOR_SAY
        probabilities = torch.from_numpy(self.suspicion.probabilities[further])
        return clearly_foreign(probabilities, self.labels[further], shown, rules.FALSE_ALARMS / looks)

    def sets_apart_foreign(self, found: Fit | None, label: int) -> TypeGuard[Fit]:
        """Whether those who show a trigger look like other classes to a verifier that has learned none of them.

        A trigger that forms no cluster is among what the first verifier has learned, and may have learned to obey.
        """
        if found is None or found.usual or not found.shared:
            return False
        shown = found.shown
        credible = self.suspicion.verifier.learned & torch.from_numpy(~shown).to(self.context.device)
        if shown.sum() < rules.FURTHER_CARRIERS or not credible.any():
            return False
        x, y = on_device(self.images, self.context.device), torch.from_numpy(self.labels).to(self.context.device)
        classes, choice = self.suspicion.probabilities.shape[1], self.suspicion.choice
        with self.context.stage("verify") as part:
            verifier = verify(x, y, credible, classes, choice, part)
            # Only those that it has not learned can be compared.
            unseen = torch.nonzero(~credible)[:, 0].cpu().numpy()
            inside, own = shown[unseen], self.labels[unseen] == label
            seen = self.images[unseen]
            seen[inside] = _bare(found.trigger, seen[inside])
            likely = opinion(verifier, on_device(seen, self.context.device), choice)[:, label].cpu().numpy()
        return resembles(likely[inside], likely[own & ~inside], likely[~own & ~inside], rules.FALSE_ALARMS)


@torch.inference_mode()
def _bare(trigger: Trigger, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Images that show a trigger, uint8 [n,H,W,C], without it."""
    x = as_input(torch.from_numpy(images).to(trigger.device))
    out: npt.NDArray[np.uint8] = (trigger.invert(x) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return out
