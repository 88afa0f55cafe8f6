"""Every exception and warning that the package raises. Each message names the fix."""

from pathlib import Path


class UnpoisonError(Exception):
    """Base class: catch this to catch everything the package raises on purpose."""


class DatasetError(UnpoisonError, ValueError):
    """The dataset cannot be cleaned as it is: the message names the item or property and the fix."""


class UnreadableError(DatasetError):
    """An item's image cannot be read or decoded.

    Attributes:
        reason: why.
        file: the image's file; "" where that is not known.
    """

    def __init__(self, reason: str, file: str = "", item: str = "the image") -> None:
        super().__init__(reason, file, item)
        self.reason, self.file, self.item = reason, file, item

    def __str__(self) -> str:
        place = f" ({self.file})" if self.file else ""
        return f"{self.item}{place} cannot be read ({self.reason}): repair or remove it"


class ConfigError(UnpoisonError, ValueError):
    """An argument or configuration value is unknown or out of range."""


class CacheError(UnpoisonError, RuntimeError):
    """The cache folder cannot be written, read or trusted."""


class DamagedError(CacheError):
    """A file is missing, is not what was written, or says what cannot be: the message names it.

    Attributes:
        file: its path.
        reason: what is wrong with it.
    """

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return (
            f"{self.file} is missing, damaged or not of unpoison ({self.reason}): delete its folder and clean again, "
            "or get it anew"
        )


class RestorerError(UnpoisonError, ValueError):
    """A restorer's files are missing, malformed or of the wrong kind."""


class MissingExtraError(UnpoisonError, ImportError):
    """An optional library is not installed: the message names the extra that brings it."""


class SignatureError(UnpoisonError, RuntimeError):
    """Files are not signed, are signed by someone else, or their list was changed after it was signed."""


class HubError(UnpoisonError, RuntimeError):
    """The Hugging Face Hub cannot be reached, or refuses, or lacks what is asked for."""


class RawDataError(UnpoisonError, AttributeError):
    """The attribute would hand out the data as they came, not the clean ones: the message names what to use."""


class DroppedSamplesWarning(UserWarning):
    """Samples were dropped, so that positions are not those of the wrapped dataset: `align=True` keeps them."""


class ThinEvidenceWarning(UserWarning):
    """There are too few images per class for the evidence to be reliable."""


class FolderWarning(UserWarning):
    """A folder is hidden, or holds so few images that it looks like no class: it may not belong to the dataset."""


class UnreadableWarning(UserWarning):
    """Rows of a table or stream were left out because their images cannot be read."""


class WorkerPreparationWarning(UserWarning):
    """Cleaning started lazily inside a DataLoader worker, where it is slow: call `prepare()` first."""
