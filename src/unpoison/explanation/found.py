"""What a method finds, and its files: plain arrays, facts as JSON and networks as safetensors.

`on_poison`, the restorer, the samples that a reviewer keeps and the quality that restored images must have change
nothing of it, so that they can change without training again.
"""

import dataclasses
import json
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from ..data.checksums import Checked
from ..data.reading import parsing
from ..detection.choice import Choice
from ..detection.verifier import Verifier
from ..report import ClassEvidence
from ..training.backbones import Backbone
from ..training.weights import load_backbone, read_tensors, save_backbone
from ..triggers import Trigger, get_trigger
from .verdict import Explanation, Finding

_FACTS, _ARRAYS, _TRIGGERS = "found.json", "found.npz", "triggers.safetensors"
_MODEL, _VERIFIER = "model.safetensors", "verifier.safetensors"
_REQUIRED = {"score": ("f", 1), "kind": ("U", 1), "members": ("b", 2)}
_OPTIONAL = {"votes": ("b", 2), "learned": ("b", 1)}


class _TriggerFacts(msgspec.Struct):
    kind: str
    shape: tuple[int, int, int]


class _FindingFacts(msgspec.Struct):
    classes: list[int]
    trigger: _TriggerFacts | None


class _Facts(msgspec.Struct):
    """What `found.json` holds."""

    threshold: float
    classes: list[ClassEvidence]
    choice: Choice | None
    findings: list[_FindingFacts]
    notes: list[str]


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

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        return self.explanation.score > self.threshold

    def save(self, folder: Path) -> None:
        """Writes it into an existing folder."""
        findings = self.explanation.findings
        triggers = [finding.trigger for finding in findings]
        arrays = {
            "score": self.explanation.score,
            "kind": self.explanation.kind,
            "members": np.array([f.members for f in findings], np.bool_).reshape(-1, len(self.explanation.score)),
            **({} if self.votes is None else {"votes": self.votes}),
            **({} if self.verifier is None else {"learned": self.verifier.learned.cpu().numpy()}),
        }
        np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
        tensors = {
            f"{number}.{name}": tensor.detach().cpu().contiguous()
            for number, trigger in enumerate(triggers)
            if trigger is not None
            for name, tensor in trigger.state_dict().items()
        }
        save_file(tensors, folder / _TRIGGERS)
        save_backbone(self.model, folder / _MODEL)
        if self.verifier is not None:
            save_backbone(self.verifier.model, folder / _VERIFIER)
        facts = _Facts(
            threshold=self.threshold,
            classes=self.classes,
            choice=self.choice,
            findings=[
                _FindingFacts(finding.classes, None if trigger is None else _TriggerFacts(trigger.kind, trigger.shape))
                for finding, trigger in zip(findings, triggers, strict=True)
            ],
            notes=self.notes,
        )
        (folder / _FACTS).write_text(json.dumps(msgspec.to_builtins(facts), indent=1))

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Reads what `save` wrote; networks and triggers are put on the device.

        Raises:
            DamagedError: a file is damaged.
        """
        files = Checked(folder)
        facts = files.json(_FACTS, _Facts)
        arrays = files.arrays(_ARRAYS, _REQUIRED, _OPTIONAL)
        _, tensors = read_tensors(files.check(_TRIGGERS))
        with parsing(folder / _TRIGGERS):
            findings = [
                Finding(classes=entry.classes, members=inside, trigger=_trigger(entry.trigger, number, tensors, device))
                for number, (entry, inside) in enumerate(zip(facts.findings, arrays["members"], strict=True))
            ]
        verifier = None
        if "learned" in arrays:
            learned = torch.from_numpy(arrays["learned"]).to(device)
            verifier = Verifier(load_backbone(files.check(_VERIFIER), device), learned)
        return cls(
            explanation=Explanation(score=arrays["score"], kind=arrays["kind"], findings=findings),
            threshold=facts.threshold,
            classes=facts.classes,
            model=load_backbone(files.check(_MODEL), device),
            choice=facts.choice,
            verifier=verifier,
            votes=arrays.get("votes"),
            notes=facts.notes,
        )


def _trigger(
    facts: _TriggerFacts | None, number: int, tensors: dict[str, torch.Tensor], device: torch.device
) -> Trigger | None:
    if facts is None:
        return None
    trigger = get_trigger(facts.kind)(facts.shape)
    prefix = f"{number}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    trigger.load_state_dict(own, strict=True)
    return trigger.to(device)
