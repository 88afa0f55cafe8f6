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
from ..detection.choice import Choice
from ..detection.detector import detect
from ..progress import Progress
from ..report import Report
from ..restoration import Restorer, check_quality, train_restorer
from ..training.backbones import Backbone, create_backbone
from ..training.loop import on_device, train
from .base import MethodInfo, OnPoison, Outcome, register
from .explain import Explanation, Finding, explain

REFERENCE_IMAGES = 4000


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

    action = np.full(len(labels), "keep", dtype="<U7")
    label, quality = labels.copy(), np.ones(len(labels), np.float32)
    restored_index = np.empty(0, np.int64)
    restored_images = np.empty((0, *images.shape[1:]), np.uint8)
    if flagged.any() and on_poison != "keep":
        action[flagged], label[flagged], quality[flagged] = "drop", -1, 0
    if flagged.any() and on_poison == "restore":
        with progress.stage("train on clean part") as stage:
            classifier = train_classifier(images, labels, ~flagged, num_classes, detection.choice, device, seed, stage)
        clean = np.flatnonzero(~flagged)
        clean = np.sort(np.random.default_rng(seed).permutation(clean)[:REFERENCE_IMAGES])
        given, parts = restorer, []
        for finding in sorted(explanation.findings, key=lambda finding: -int(finding.members.sum())):
            members = np.flatnonzero(finding.members)
            if not len(members):
                continue
            # 3.2 Content restorator training, on the very images that it will restore.
            with progress.stage("train restorer") as stage:
                current = given or train_restorer(
                    images, flagged, finding.estimate, config.restoration, device=device, seed=seed, stage=stage
                )
            restorer = restorer or current
            # 3.3 Content restorator, quality checker, label restorer.
            with progress.stage("restore"):
                pixels = restore_in_batches(current, images, members, device)
                verdict = check_quality(
                    pixels, labels[members], images[clean], classifier, detection.model, config.restoration,
                    device=device,
                )  # fmt: skip
            accepted = members[verdict.accepted]
            action[accepted], label[accepted] = "restore", verdict.labels[verdict.accepted]
            quality[members] = verdict.quality
            parts.append((accepted, pixels[verdict.accepted]))
        restored_index = np.concatenate([index for index, _ in parts])
        order = np.argsort(restored_index)
        restored_index = restored_index[order]
        restored_images = np.concatenate([pixels for _, pixels in parts])[order]

    poisoned = {klass for finding in explanation.findings for klass in finding.classes}
    report = Report(
        score=explanation.score.astype(np.float32),
        flagged=flagged,
        kind=np.where(flagged, explanation.kind, ""),
        action=action,
        label=label,
        original_label=labels.copy(),
        quality=quality,
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
    return Outcome(report=report, restored_index=restored_index, restored_images=restored_images, restorer=restorer)


def train_classifier(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    clean: npt.NDArray[np.bool_],
    num_classes: int,
    choice: Choice,
    device: torch.device,
    seed: int,
    stage: Any,
) -> Backbone:
    """The classifier C of section 3.3.2, trained on D_c."""
    torch.manual_seed(seed + 2)
    model = create_backbone(choice.backbone, images.shape[3], num_classes, choice.width)
    index = np.flatnonzero(clean)
    x, y = on_device(images[index], device), torch.from_numpy(labels[index]).to(device)
    for epoch, _ in train(model, x, y, choice.training, seed + 2):
        stage.update(epoch / choice.training.epochs)
    return model


def restore_in_batches(
    restorer: Restorer, images: npt.NDArray[np.uint8], index: npt.NDArray[np.int64], device: torch.device
) -> npt.NDArray[np.uint8]:
    """Restored copies, uint8 [M,H,W,C], of the chosen images."""
    chunks = np.array_split(index, max(1, len(index) // 512))
    restored = [restorer(torch.from_numpy(images[chunk]).to(device)).cpu().numpy() for chunk in chunks]
    return np.concatenate(restored)


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
