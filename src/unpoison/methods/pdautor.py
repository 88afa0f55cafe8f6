"""PD-AutoR (Chen et al.): detect by fused features, restore with a learned restorer, check, relabel.

The steps stand in the paper's order: 3.1 PD detector, 3.2 content restorator training, 3.3 PD restorator. Between
3.1 and 3.2 the default preset explains the poison from its pixels and repairs the flags with that explanation.
"""

import dataclasses
import importlib.metadata
import platform
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..config import PDAutoRConfig
from ..detection.detector import detect
from ..progress import Progress
from ..report import Report
from ..restoration import Restorer
from .base import MethodInfo, OnPoison, Outcome, register
from .explain import Explanation, Finding, explain
from .repair import repair


def run(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    *,
    config: PDAutoRConfig,
    on_poison: OnPoison,
    restorer: Restorer | None,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> Outcome:
    """See `unpoison.methods.base.Run`."""
    common: dict[str, Any] = {"device": device, "seed": seed, "progress": progress}

    # 3.1 PD detector: D is divided into D_p (flagged) and D_c.
    detection = detect(images, labels, num_classes, config.detection, **common)
    if detection.probabilities is not None:
        explanation = explain(images, labels, detection, config.detection, **common)
    else:
        flags = detection.flagged.cpu().numpy()
        found = [Finding(classes=[], members=flags, estimate=None)] if flags.any() else []
        explanation = Explanation(score=detection.score.cpu().numpy(), kind=detection.kind, findings=found)
    flagged = explanation.score > detection.threshold

    repaired = repair(
        images, labels, num_classes, flagged, explanation.findings, detection.model, detection.choice,
        config.restoration, on_poison=on_poison, restorer=restorer, **common,
    )  # fmt: skip
    poisoned = {klass for finding in explanation.findings for klass in finding.classes}
    report = Report(
        score=explanation.score.astype(np.float32),
        flagged=flagged,
        kind=np.where(flagged, explanation.kind, ""),
        action=repaired.action,
        label=repaired.label,
        original_label=labels.copy(),
        quality=repaired.quality,
        threshold=detection.threshold,
        classes=[
            dataclasses.replace(entry, poisoned=entry.poisoned or entry.label in poisoned)
            for entry in detection.classes
        ],
        timings=dict(progress.timings),
        config={
            "method": "pdautor",
            **dataclasses.asdict(config),
            "chosen": {
                "backbone": detection.choice.backbone,
                "width": detection.choice.width,
                "training": dataclasses.asdict(detection.choice.training),
            },
            "on_poison": on_poison,
            "device": str(device),
            "seed": seed,
        },
        notes=detection.choice.notes + [_describe(finding) for finding in explanation.findings],
        versions={
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("unpoison", "torch", "numpy")},
        },
    )
    return Outcome(
        report=report,
        restored_index=repaired.restored_index,
        restored_images=repaired.restored_images,
        restorer=repaired.restorer,
    )


def _describe(finding: Finding) -> str:
    classes = f"class {', '.join(map(str, finding.classes))}" if finding.classes else "all classes"
    if finding.estimate is None:
        return f"{classes}: no simple trigger explains the flagged images"
    return f"{classes}: the flagged images share a trigger of kind {finding.estimate.kind}"


register(
    MethodInfo(
        name="pdautor",
        run=run,
        preset=PDAutoRConfig.preset,
        config_class=PDAutoRConfig,
        on_poison="restore",
        source="Chen et al., PD-AutoR: Towards Automatic Restoration of Poisoned Examples in Machine Learning",
    )
)
