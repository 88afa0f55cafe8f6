"""The model card of a restorer on the Hub: what it was trained on, what it undoes, how well, and its limits."""

import dataclasses

from huggingface_hub import ModelCard, ModelCardData

from ..checks import checked
from .architecture import Architecture

_LIMITS = (
    "It takes off the kind of trigger that it was trained on. An attack of another kind stays.",
    "Restored pixels are an estimate, not the original ones.",
    "It takes images of one size and number of channels.",
    "It does not say which images are poisoned, and it gives no guarantee.",
)


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What the author knows about a restorer; the card says "not stated" for the rest."""

    trained_on: str = ""
    """The data, in words."""
    dataset: str = ""
    """Its id on the Hub, if it has one."""
    attacks: tuple[str, ...] = ()
    """The attacks that the training data carried."""
    figures: dict[str, str] = dataclasses.field(default_factory=dict)
    """What was measured, by name, with units."""
    licence: str = ""
    """As the Hub abbreviates it, e.g. "apache-2.0"."""
    limits: tuple[str, ...] = ()
    """Further ones than those of every restorer."""

    def render(self, architecture: Architecture, parameters: int, undoes: str) -> ModelCard:
        """The README.md of a repository with a restorer of this architecture, which undoes what the words say."""
        data = ModelCardData(
            license=self.licence or None,
            library_name="unpoison",
            tags=["unpoison", "unpoison-restorer", "data-poisoning", "image-to-image"],
            datasets=[self.dataset] if self.dataset else None,
        )
        a = architecture
        facts = {
            "Takes": f"uint8 images, {a.height} x {a.width} pixels, {a.channels} channels",
            "Takes off": undoes,
            "Size": f"{parameters:,} numbers, {parameters * 4 / 1e6:.1f} MB",
            "Trained on": self.trained_on or self.dataset or "not stated",
            "Attacks": ", ".join(self.attacks) or "not stated",
            "Licence": self.licence or "not stated",
        }
        lines = [
            f"---\n{data.to_yaml()}\n---",
            "# Restorer for poisoned images",
            "It undoes what a data poisoning attack did to images, and leaves images alone that do not show it.",
            _table(("", ""), facts),
            "## Use",
            "```python\nfrom unpoison import Restorer, SanitizedDataset\n\n"
            'restorer = Restorer.from_pretrained("user/name")  # the id of this repository\n'
            "train = SanitizedDataset(train, restorer=restorer)\n```",
            "## Figures",
            _table(("measured", "value"), self.figures) if self.figures else "Not stated.",
            "## Limits",
            "\n".join(f"- {limit}" for limit in (*_LIMITS, *self.limits)),
        ]
        return ModelCard("\n\n".join(lines) + "\n", ignore_metadata_errors=False)


def _table(head: tuple[str, str], rows: dict[str, str]) -> str:
    cells = [head, ("---", "---"), *((name, str(value)) for name, value in rows.items())]
    return "\n".join(f"| {left.replace('|', '/')} | {right.replace('|', '/')} |" for left, right in cells)
