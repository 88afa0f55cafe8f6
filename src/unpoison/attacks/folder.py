"""A poisoned dataset as files: an image folder, and a record of what is poisoned."""

import json
import re
from pathlib import Path
from typing import Any

from ..data.eight_bit import to_eight_bit
from ..data.encoded import Encoded
from ..data.files import publishing_folder
from ..data.outputs import check_apart, check_new
from ..data.searched import folders_read
from ..errors import ConfigError, DatasetError
from ..keep import KEEP
from ..progress import Bar
from .jpeg import as_jpeg
from .poisoned import PoisonedDataset

RECORD = "poison.json"
_MAX_CLASSES = 1_000_000


def write_poisoned(
    data: PoisonedDataset, folder: Path, settings: dict[str, Any], bar: Bar | None = None, *, keep_jpeg: bool = False
) -> Path:
    """Writes `folder/<class>/<position>.png`, which ImageFolder reads, and `folder/poison.json` beside the classes.

    Images have 8 bits per channel, without loss, so that the triggers survive. With `keep_jpeg`, JPEG files stay JPEG
    files, `.jpg`: those that are not stamped keep their bytes, the others their quality, see `as_jpeg`.

    The record holds `settings`; `classes`, the folder of each class by its number in the dataset, null where it has no
    image; `poisoned`, the files with their true classes; and `covered`, the files that are stamped and keep their right
    labels. The folder appears whole or not at all.

    Returns:
        The record's path.

    Raises:
        ConfigError: the folder is not empty, cannot be written or lies in one that is read.
        DatasetError: an image cannot be read, or a class number is too large.
    """
    for read in folders_read(data):
        check_apart(folder, read)
    check_new(folder)
    labels = data.targets
    places = _folders(data, max(*labels, *data.clean_label.tolist()) + 1)
    used = {places[label] for label in labels}
    digits, files = len(str(len(data) - 1)), []
    try:
        with publishing_folder(folder.resolve()) as temporary:
            for place in used:
                (temporary / place).mkdir()
            for position, label in enumerate(labels):
                content, extension = _file(data, position, keep_jpeg)
                files.append(f"{places[label]}/{position:0{digits}}.{extension}")
                (temporary / files[-1]).write_bytes(content)
                if bar is not None:
                    bar.update((position + 1) / len(labels))
            record = {
                **settings,
                "classes": [place if place in used else None for place in places],
                "poisoned": {files[n]: places[data.clean_label[n]] for n in data.poisoned.nonzero()[0].tolist()},
                "covered": [files[n] for n in data.covered.nonzero()[0].tolist()],
            }
            (temporary / RECORD).write_text(json.dumps(record, indent=1))
            if folder.exists():
                # Here, not in the rename, it shows if others have put something into it meanwhile.
                folder.rmdir()
    except OSError as error:
        raise ConfigError(f"cannot write to {folder} ({error}): choose another folder") from error
    return folder / RECORD


def _file(data: PoisonedDataset, position: int, keep_jpeg: bool) -> tuple[bytes, str]:
    """The content of an item's file, and its extension."""
    record, stamped, _ = data._sample(position)
    original = record.stored_image
    # Where the dataset turns images, a stamped one is written upright, and the others shall not differ.
    keep = keep_jpeg and isinstance(original, Encoded) and original.extension == "jpg" and not original.may_turn
    if keep and stamped is KEEP:
        return original.data, "jpg"
    seen = to_eight_bit(record.image if stamped is KEEP else stamped, data.levels)
    return (as_jpeg(seen.colour, original.data), "jpg") if keep else (seen.png(), "png")


def _folders(data: PoisonedDataset, count: int) -> list[str]:
    """A folder's name for each class number below `count`: the class's own, as far as file systems take it.

    Numbers stand in for missing names, with as many digits as keep them in order.

    Raises:
        DatasetError: there are so many class numbers that they cannot be listed.
    """
    if count > _MAX_CLASSES:
        raise DatasetError(f"class number {count - 1} is too large to list all below it: number the classes from 0")
    names = list(getattr(data, "classes", []))
    names += [f"{number:0{len(str(count - 1))}}" for number in range(len(names), count)]
    places: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(names):
        place = re.sub(r'[\x00-\x1f/\\:*?"<>|]|^[. ]|[. ]$', "_", name) or "_"
        # Some file systems do not tell upper from lower case.
        if place.casefold() in taken or place.casefold() == RECORD:
            place = f"{place}-{number}"
        taken.add(place.casefold())
        places.append(place)
    return places
