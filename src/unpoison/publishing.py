"""A decision becomes the result that is served: what it says of all items of the dataset, shards and a manifest."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .data.access import RawView
from .data.cache import FORMAT as RUN_FORMAT
from .data.cache import Manifest, write_manifest
from .data.checksums import Checked, publishing_checked
from .data.decoding import check_same
from .data.eight_bit import to_eight_bit
from .data.encoded import Encoded
from .data.files import copy_files, read_regular
from .data.shards import ShardSample, write_shards
from .data.store import ImageStore
from .data.survey import Survey
from .illustration import illustrate
from .left_out import over_all_items, without_folder
from .methods.cleaning import Outcome
from .native.closer import FORMAT as CLOSER_FORMAT
from .native.crops import cut_out
from .native.originals import read_original
from .native.repair import Repairs
from .pictures import MAX_CROPS, Crop
from .progress import Progress
from .report import FORMAT as REPORT_FORMAT
from .report import Report
from .restoration.files import FORMAT as RESTORER_FORMAT
from .stages.restore import RESTORER

_logger = logging.getLogger(__name__)
FORMATS = (RUN_FORMAT, REPORT_FORMAT, RESTORER_FORMAT, CLOSER_FORMAT)
"""Of all that a run leaves behind."""
HTML = "report.html"
_REPAIRED = "repaired"
_CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "shard-*.tar"
tags:
- unpoison
- webdataset
---

# Cleaned images

WebDataset shards of a dataset that [unpoison](https://pypi.org/project/unpoison/) cleaned. `report.html` says how.

```python
train = unpoison.SanitizedDataset.from_shards("user/name")  # the id of this repository, or the folder
```
"""


def save_outcome(
    folder: Path,
    view: RawView,
    store: ImageStore,
    found: Survey,
    outcome: Outcome,
    repairs: Repairs,
    facts: dict[str, Any],
) -> None:
    """Writes the decision on the items of a dataset, in one step.

    Args:
        folder: of the run.
        repairs: of the originals.
        facts: what its report says of the settings besides those of the method; None is left out.
    """
    report = dataclasses.replace(
        _with_own_labels(outcome.report, store.class_ids),
        notes=[*outcome.report.notes, *repairs.notes],
        timings=repairs.timings,
        class_names=found.names,
        content=found.digest,
        files=found.files,
    )
    footprints = [
        footprint._replace(classes=store.class_ids[footprint.classes].tolist()) for footprint in outcome.footprints
    ]
    pictures = illustrate(
        report,
        store.images,
        outcome.restored_index,
        outcome.restored_images,
        footprints,
        lambda row: view.file_name(int(store.positions[row])),
    )
    unreadable = sorted(found.unreadable + store.unreadable, key=lambda entry: entry.position)
    with publishing_checked(folder / "outcome") as temporary:
        changed, crops = _write_repaired(temporary, view, store, found, outcome, repairs, pictures.index)
        np.save(temporary / "restored_index.npy", changed, allow_pickle=False)
        pictures = dataclasses.replace(pictures, crops=crops)
        config = report.config | {name: fact for name, fact in facts.items() if fact is not None}
        report = dataclasses.replace(report, pictures=pictures, config=config)
        report = over_all_items(report, store.positions, found.labels, unreadable)
        report._write(temporary)
        np.save(temporary / "digests.npy", found.digests, allow_pickle=False)
        sizes = np.where(found.plain_jpegs[:, None], found.sizes, 0).astype(np.int32)
        np.save(temporary / "jpeg_sizes.npy", sizes, allow_pickle=False)
        if outcome.restorer is not None:
            copy_files(outcome.restorer, temporary / RESTORER)
    _log_decisions(report)


def publish(folder: Path, view: RawView, store: ImageStore, found: Survey, progress: Progress) -> None:
    """Writes the shards of a run whose outcome is there, then the manifest."""
    report, files = Report.load(folder / "outcome"), Checked(folder / "outcome")
    changed = np.zeros(len(report), np.bool_)
    changed[files.array("restored_index.npy", "i", 1)] = True
    served = np.flatnonzero(report.action != "drop")
    samples = _Samples(view, found, report, served, changed, files)
    with progress.stage("shards") as bar:
        names = {"names": found.names, "text_labels": found.text_labels}
        shards = write_shards(folder, len(served), samples, found.extension, facts=names, bar=bar)
    manifest = Manifest(
        shards=shards,
        levels=found.levels,
        names=found.names,
        text_labels=found.text_labels,
        keys=view.read(int(store.positions[0])).keys,
        unreadable=len(report.unreadable),
        store=store.folder.name if found.exact else None,
        timings={"shards": progress.timings["shards"]},
    )
    write_manifest(folder, manifest)


def write_export(folder: Path, run: Path, report: Report) -> None:
    """Copies what users keep of a run into an empty folder, with its report, which names no folder of this machine."""
    Checked(run / "shards").copy_to(folder)
    if (restorer := run / "outcome" / RESTORER).is_dir():
        Checked(restorer).check_all()
        copy_files(restorer, folder / RESTORER)
    shared = without_folder(report)
    shared._write(folder)
    shared.to_html(folder / HTML)
    (folder / "README.md").write_text(_CARD)


def _write_repaired(
    folder: Path,
    view: RawView,
    store: ImageStore,
    found: Survey,
    outcome: Outcome,
    repairs: Repairs,
    shown: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], dict[int, Crop]]:
    """Writes the restored originals as PNG files, which lose nothing.

    Args:
        shown: int64 [M], rows of the store whose pictures are in the report.

    Returns:
        The positions of those that changed, and parts of the first ones that are shown, by place in `shown`.
    """
    (folder / _REPAIRED).mkdir()
    height, width, channels = store.images.shape[1:]
    cropped = np.flatnonzero(np.isin(shown, outcome.restored_index))[:MAX_CROPS]
    place_of = dict(zip(shown[cropped].tolist(), cropped.tolist(), strict=True))
    changed, crops = [], {}
    for row, after in zip(outcome.restored_index.tolist(), outcome.restored_images, strict=True):
        position = int(store.positions[row])
        original = read_original(view, found, position)
        repaired = repairs(row, original, store.images[row], after)
        if repaired is None:
            continue
        (folder / _repaired(position)).write_bytes(repaired.png())
        changed.append(position)
        if row in place_of and (original.colour.shape[0] > height or original.colour.shape[1] > width):
            crops[place_of[row]] = cut_out(original.colour, repaired.colour, channels)
    return np.array(changed, np.int64), crops


def _repaired(position: int) -> str:
    return f"{_REPAIRED}/{position}.png"


@dataclasses.dataclass(frozen=True)
class _Samples:
    """What the shards hold, by position among the samples that are served."""

    view: RawView
    found: Survey
    report: Report
    served: npt.NDArray[np.int64]
    changed: npt.NDArray[np.bool_]
    """bool [N], of all items."""
    outcome: Checked

    def __call__(self, position: int) -> ShardSample:
        source = int(self.served[position])
        report, record = self.report, self.view.read(source)
        check_same(self.view, record, self.found.digests)
        mode, rotate = None, False
        if self.changed[source]:
            image, encoding = read_regular(self.outcome.check(_repaired(source))), "png"
        elif isinstance(record.stored_image, Encoded) and record.stored_image.is_portable:
            image, encoding = record.stored_image.data, record.stored_image.extension
            mode, rotate = record.stored_image.mode, record.stored_image.rotate
        else:
            image, encoding = to_eight_bit(record.image, self.found.levels).png(), "png"
        facts = {
            "source_index": source,
            "action": str(report.action[source]),
            "score": float(report.score[source]),
            "original_label": int(report.original_label[source]),
            "quality": float(report.quality[source]),
            "encoding": encoding,
            "mode": mode,
            "rotate": rotate,
        }
        return ShardSample(image, int(report.label[source]), facts)


def _with_own_labels(report: Report, class_ids: npt.NDArray[np.int64]) -> Report:
    """The method's report, which numbers classes without gaps, in the dataset's own class numbers."""
    dropped = (report.action == "drop") | (report.label < 0)
    label = np.where(dropped, -1, class_ids[report.label])
    action = np.where(dropped, "drop", report.action)
    classes = [dataclasses.replace(entry, label=int(class_ids[entry.label])) for entry in report.classes]
    return dataclasses.replace(
        report, action=action, label=label, original_label=class_ids[report.original_label], classes=classes
    )


def _log_decisions(report: Report) -> None:
    for entry in report.classes:
        level = logging.DEBUG if entry.status == "clean" else logging.INFO
        _logger.log(level, "class %d: %s, evidence %.1f", entry.label, entry.status, entry.evidence)
    counts = [int((report.action == action).sum()) for action in ("keep", "restore", "drop")]
    _logger.info("%d of %d flagged; kept %d, restored %d, dropped %d", report.flagged.sum(), len(report), *counts)
