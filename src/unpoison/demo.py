"""The main job in one run, on real images that need no download: scikit-learn's handwritten digits."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .attacks import BadNets, PoisonedDataset
from .checks import Device, Seed, checked
from .data.cache import PARTS, telling_what_is_kept
from .data.labelled import LabelledImages
from .data.outputs import check_folder, check_page
from .dataset import SanitizedDataset
from .downstream import Downstream, train_and_test
from .errors import ConfigError, DroppedSamplesWarning
from .publishing import HTML
from .training.loop import TrainingConfig
from .training.threads import free_cores

RATE, TARGET, TEST_SHARE = 0.05, 0, 0.25
_TRAINING = TrainingConfig(epochs=20, batch_size=32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo found."""

    samples: int
    poisoned: int
    found: int
    """Poisoned images that were flagged."""
    false_alarms: int
    restored: int
    dropped: int
    before: Downstream
    """A model trained on the poisoned data."""
    after: Downstream
    """The same model trained on the cleaned data."""
    report: Path
    """The page for people."""
    shards: Path

    def as_dict(self) -> dict[str, Any]:
        facts = dataclasses.asdict(self)
        for name in ("before", "after"):
            facts[name] = getattr(self, name)._asdict()
        return {name: str(value) if isinstance(value, Path) else value for name, value in facts.items()}

    def as_text(self) -> str:
        return "\n".join(
            [
                f"{self.samples} digits, {self.poisoned} of them poisoned with a white patch and labelled {TARGET}",
                f"flagged {self.found} of {self.poisoned} poisoned images and {self.false_alarms} clean ones; "
                f"restored {self.restored}, dropped {self.dropped}",
                "",
                "a small network trained on    accuracy    attack success rate",
                f"the poisoned data             {self.before.accuracy:7.1%}    {self.before.attack_success_rate:7.1%}",
                f"the cleaned data              {self.after.accuracy:7.1%}    {self.after.attack_success_rate:7.1%}",
                "",
                f"report: {self.report}",
                f"shards: {self.shards}",
            ]
        )


def load_digits() -> LabelledImages:
    """scikit-learn's 1,797 digits as uint8 [N,8,8,1]."""
    from sklearn import datasets

    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return LabelledImages(images, digits.target.astype(np.int64))


@checked
def run_demo(out: Path, *, device: Device | None = None, seed: Seed = 0, progress: bool | None = None) -> DemoResult:
    """Poisons, trains a victim, cleans and trains again; shards and report go below `out`.

    Raises:
        ConfigError: `out` cannot be written, or holds something else than an earlier run left there.
    """
    check_folder(out)
    check_page(out / HTML)
    foreign = sorted({path.name for path in out.glob("*")} - {*PARTS, HTML})
    if foreign:
        raise ConfigError(f"{out} holds {foreign[0]}, which is not of the demo: choose a new or empty folder")
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.labels))
    cut = round(TEST_SHARE * len(order))
    test, train = (LabelledImages(digits.images[part], digits.labels[part]) for part in (order[:cut], order[cut:]))
    attack = BadNets(size=2)
    poisoned = PoisonedDataset(train, attack, rate=RATE, target=TARGET, seed=seed)
    with warnings.catch_warnings():
        # The result counts the drops itself.
        warnings.simplefilter("ignore", DroppedSamplesWarning)
        clean = SanitizedDataset(
            poisoned, method="pdautor", cache_dir=out, device=device, seed=seed, progress=progress
        ).prepare()
    report = clean.report
    computing_on = torch.device(report.config["device"])
    run = clean.shards[0].parent.parent
    with telling_what_is_kept(out, run), free_cores():
        before, after = (
            train_and_test(LabelledImages.of(data), test, [attack], TARGET, _TRAINING, seed=seed, device=computing_on)
            for data in (poisoned, clean)
        )
    return DemoResult(
        samples=len(train),
        poisoned=int(poisoned.poisoned.sum()),
        found=int((report.flagged & poisoned.poisoned).sum()),
        false_alarms=int((report.flagged & ~poisoned.poisoned).sum()),
        restored=int((report.action == "restore").sum()),
        dropped=int((report.action == "drop").sum()),
        before=before,
        after=after,
        report=report.to_html(out / HTML),
        shards=clean.shards[0].parent,
    )
