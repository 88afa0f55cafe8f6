"""The results of one run: what was found, why, what was done, how long it took."""

import dataclasses
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from .checks import checked
from .errors import UnreadableError
from .image_files import ImageFiles
from .pictures import Pictures

THIN = 50
"""Samples of a class, below which the evidence is thin."""
OnPoison = Literal["restore", "drop", "keep"]
"""What happens to flagged samples."""
Status = Literal["clean", "poisoned", "needs a look", "not assessable"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassEvidence:
    """What speaks for or against poison among the samples of one label."""

    label: int
    """Position of the class in `classes`."""
    size: int
    """Samples that carry this label."""
    evidence: float
    """How much better two components explain the class than one, in standard deviations of what clean classes
    show; the detector's docstring says how it is computed."""
    poisoned: bool
    """Whether the class gate is open: only then are samples of the class flagged as backdoored."""
    details: dict[str, float] = dataclasses.field(default_factory=dict)
    """Further statistics that led to the decision, by name; "needed" is the evidence that opens the gate."""
    status: Status = "clean"
    """What became of it: "poisoned" where the gate is open, "needs a look" where so much was flagged that nothing was
    changed, "not assessable" where nothing can be said about this class, else "clean": nothing was found in it. Where
    it is not given it follows from `poisoned`, as in reports of formats before 4."""

    def __post_init__(self) -> None:
        # Copies that differ in `poisoned` alone must not keep the other status.
        if self.poisoned and self.status in ("clean", "not assessable"):
            object.__setattr__(self, "status", "poisoned")
        elif self.status == "poisoned" and not self.poisoned:
            object.__setattr__(self, "status", "clean")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unreadable:
    """An item that could not be read, and was left out."""

    position: int
    """In the wrapped dataset."""
    file: str
    """As the dataset named it when it was cleaned; "" where it did not."""
    reason: str
    """What the file system or the decoder said."""

    @classmethod
    def of(cls, position: int, error: UnreadableError) -> Self:
        """The item at a position, for this reason."""
        return cls(position=position, file=error.file, reason=error.reason)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """What `Report` holds: arrays over the N samples of the wrapped dataset, in its order, and the facts of the run."""

    score: npt.NDArray[np.float32]
    """float32 [N]; higher is more suspicious."""
    flagged: npt.NDArray[np.bool_]
    """bool [N]; the detector's decision."""
    kind: npt.NDArray[np.str_]
    """str [N]; "backdoor" (a learned minority in its class) or "mislabelled" (persistent disagreement with the label)
    where flagged; else "duplicate" where another image is the same to the eye, or ""."""
    action: npt.NDArray[np.str_]
    """str [N]; "keep", "restore" or "drop"."""
    label: npt.NDArray[np.int64]
    """int64 [N]; class after cleaning, -1 where dropped."""
    original_label: npt.NDArray[np.int64]
    """int64 [N]; class as it came, -1 where the item could not be read at all."""
    quality: npt.NDArray[np.float32]
    """float32 [N]; quality of the restored sample in 0..1, 1 for samples that were kept as they are."""
    threshold: float
    """Samples whose score is above it are flagged."""
    classes: list[ClassEvidence]
    """One entry per class."""
    timings: dict[str, float]
    """Seconds per stage, in the order of the run."""
    config: dict[str, Any]
    """Method, preset values as they were resolved for this data and device, seed."""
    notes: list[str]
    """What was chosen automatically and why, and what limits the evidence."""
    versions: dict[str, str]
    """Of unpoison and the libraries that decide the outcome."""
    votes: npt.NDArray[np.bool_] = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    """bool [N,M], "bab" only: which of M models call the sample ours once it carries our trigger. Clean samples have
    all votes."""
    reason: npt.NDArray[np.str_] = dataclasses.field(default_factory=lambda: np.zeros(0, np.str_))
    """str [N]; why a sample was dropped: "asked" (what is flagged was to be dropped), "unclear" (the classifier of the
    unflagged part is not sure of its class), "pulled" (the suspicious network still leans to the old label),
    "inexact" (the trigger is known too little to take it off), "unreadable" (the image could not be read), "duplicate"
    (the image is there already), else "". Empty in reports of older versions."""
    duplicate_of: npt.NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    """int64 [N]; position of the first of the images that are the same to the eye, that of the first itself included;
    -1 where no other is. Empty in reports of older versions."""
    class_names: list[str] | None = None
    """By class number, where the dataset names its classes."""
    content: str = ""
    """sha256 of the images and labels that were cleaned, in hexadecimal."""
    unreadable: list[Unreadable] = dataclasses.field(default_factory=list)
    """The items that could not be read, in the order of the dataset: they are dropped and have the lowest score."""
    pictures: Pictures | None = dataclasses.field(default=None, repr=False)
    """The most suspicious images; None in reports of older versions."""
    files: ImageFiles | None = dataclasses.field(default=None, repr=False)
    """Where the images lay when they were cleaned; None where they come from no files, and in reports of older
    versions. Exported reports do not tell the folder."""

    def __len__(self) -> int:
        return len(self.score)

    @checked
    def with_status(self, status: Status) -> list[int]:
        """The classes of this status, by their labels, in the order of `classes`."""
        return [entry.label for entry in self.classes if entry.status == status]
