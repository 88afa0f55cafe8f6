"""What a method finds, and its files: plain arrays, facts as JSON and networks as safetensors.

`on_poison`, the restorer, the samples that a reviewer keeps and the quality that restored images must have change
nothing of it, so that they can change without training again.
"""

import dataclasses
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..detection.choice import Choice
from ..detection.verifier import Verifier
from ..errors import CacheError
from ..report import ClassEvidence
from ..restoration import Estimate
from ..training.backbones import Backbone
from ..training.loop import TrainingConfig
from ..training.weights import load_backbone, save_backbone
from .verdict import Explanation, Finding

FORMAT = 2
"""Of the files, and of how their contents were found; part of the keys under which they lie."""
_FACTS, _ARRAYS, _ESTIMATES = "found.json", "found.npz", "estimates.safetensors"
_MODEL, _VERIFIER = "model.safetensors", "verifier.safetensors"
REUSED = "reused from an earlier run"
"""Begins the notes of a report that say so."""
DAMAGE = (
    OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What reading a damaged file raises."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A method's verdict on N samples."""

    explanation: Explanation
    threshold: float = 0.0
    """Samples whose score is above it are flagged."""
    classes: list[ClassEvidence]
    model: Backbone
    """The suspicious model M: it learned the backdoor, if there is one."""
    choice: Choice | None = None
    """How classifiers are trained on this data; None where the method did not have to choose."""
    verifier: Verifier | None = None
    """A classifier of that kind that has learned credible samples, from which another can go on; None without one."""
    votes: npt.NDArray[np.bool_] | None = None
    """See `Report.votes`."""
    notes: list[str]
    timings: dict[str, float] = dataclasses.field(default_factory=dict)
    """Seconds per stage that it took."""

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        return self.explanation.score > self.threshold

    def save(self, folder: Path) -> None:
        """Writes it into an existing folder."""
        findings = self.explanation.findings
        estimates = [finding.estimate for finding in findings]
        arrays = {
            "score": self.explanation.score,
            "kind": self.explanation.kind,
            "members": np.array([finding.members for finding in findings], np.bool_),
            **({} if self.votes is None else {"votes": self.votes}),
            **({} if self.verifier is None else {"learned": self.verifier.learned.cpu().numpy()}),
        }
        np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
        tensors = {
            f"{number}.{name}": tensor.detach().cpu().contiguous()
            for number, estimate in enumerate(estimates)
            if estimate is not None
            for name, tensor in estimate.state_dict().items()
        }
        save_file(tensors, folder / _ESTIMATES)
        save_backbone(self.model, folder / _MODEL)
        if self.verifier is not None:
            save_backbone(self.verifier.model, folder / _VERIFIER)
        facts = {
            "threshold": self.threshold,
            "classes": [dataclasses.asdict(entry) for entry in self.classes],
            "choice": None if self.choice is None else choice_facts(self.choice),
            "findings": [
                {"classes": finding.classes, "estimate": estimate and {"kind": estimate.kind, "shape": estimate.shape}}
                for finding, estimate in zip(findings, estimates, strict=True)
            ],
            "notes": self.notes,
            "timings": self.timings,
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=1))

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Reads what `save` wrote; networks and estimates are put on the device.

        Raises:
            CacheError: a file is damaged.
        """
        try:
            facts = json.loads((folder / _FACTS).read_text())
            with np.load(io.BytesIO((folder / _ARRAYS).read_bytes()), allow_pickle=False) as arrays:
                members, votes = arrays["members"], arrays.get("votes")
                score, kind, learned = arrays["score"], arrays["kind"], arrays.get("learned")
            tensors = load_file(folder / _ESTIMATES)
            findings = [
                Finding(
                    classes=entry["classes"], members=inside, estimate=_estimate(entry["estimate"], number, tensors)
                )
                for number, (entry, inside) in enumerate(zip(facts["findings"], members, strict=True))
            ]
            for finding in findings:
                if finding.estimate is not None:
                    finding.estimate.to(device)
            verifier = None
            if learned is not None:
                verifier = Verifier(load_backbone(folder / _VERIFIER, device), torch.from_numpy(learned).to(device))
            return cls(
                explanation=Explanation(score=score, kind=kind, findings=findings),
                threshold=facts["threshold"],
                classes=[ClassEvidence(**entry) for entry in facts["classes"]],
                model=load_backbone(folder / _MODEL, device),
                choice=None if facts["choice"] is None else choice_of(facts["choice"]),
                verifier=verifier,
                votes=votes,
                notes=facts["notes"],
                timings=facts["timings"],
            )
        except DAMAGE as error:
            raise CacheError(
                f"what was detected, in {folder}, cannot be read ({error}): delete the folder and clean again"
            ) from error


def choice_facts(choice: Choice) -> dict[str, Any]:
    """A choice as JSON values."""
    return {**choice._asdict(), "training": dataclasses.asdict(choice.training)}


def choice_of(facts: dict[str, Any]) -> Choice:
    """The choice that `choice_facts` describes."""
    return Choice(**{**facts, "training": TrainingConfig(**facts["training"])})


def _estimate(facts: dict[str, Any] | None, number: int, tensors: dict[str, torch.Tensor]) -> Estimate | None:
    if facts is None:
        return None
    height, width, channels = facts["shape"]
    estimate = Estimate(facts["kind"], (height, width, channels))
    prefix = f"{number}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    estimate.load_state_dict(own, strict=True)
    return estimate
