"""A poisoned dataset as files: an image folder, and a record of what is poisoned."""

import json
import re
from pathlib import Path
from typing import Any

from ..data.access import RawView
from ..data.eight_bit import to_eight_bit
from ..data.files import publishing_folder
from ..data.outputs import check_apart, check_new
from ..data.searched import folders_read
from ..errors import ConfigError, DatasetError
from ..progress import Bar
from .poisoned import PoisonedDataset

RECORD = "poison.json"
_MAX_CLASSES = 1_000_000


def write_poisoned(data: PoisonedDataset, folder: Path, settings: dict[str, Any], bar: Bar | None = None) -> Path:
    """Writes `folder/<class>/<position>.png`, which ImageFolder reads, and `folder/poison.json` beside the classes.

    Images have 8 bits per channel, without loss, so that the triggers survive. The record holds `settings`; `classes`,
    the folder of each class by its number in the dataset, null where it has no image; `poisoned`, the files with their
    true classes; and `covered`, the files that are stamped and keep their right labels. The folder appears whole or
    not at all.

    Returns:
        The record's path.

    Raises:
        ConfigError: the folder is not empty, cannot be written or lies in one that is read.
        DatasetError: an image cannot be read, or a class number is too large.
    """
    for read in folders_read(data):
        check_apart(folder, read)
    check_new(folder)
    view, labels = RawView(data), data.targets
    places = _folders(data, max(*labels, *data.clean_label.tolist()) + 1)
    digits = len(str(len(data) - 1))
    files = [f"{places[label]}/{position:0{digits}}.png" for position, label in enumerate(labels)]
    used = {places[label] for label in labels}
    record = {
        **settings,
        "classes": [place if place in used else None for place in places],
        "poisoned": {
            files[position]: places[data.clean_label[position]] for position in data.poisoned.nonzero()[0].tolist()
        },
        "covered": [files[position] for position in data.covered.nonzero()[0].tolist()],
    }
    try:
        with publishing_folder(folder.resolve()) as temporary:
            for place in used:
                (temporary / place).mkdir()
            for position, file in enumerate(files):
                image = to_eight_bit(view.read(position).image, data.levels)
                (temporary / file).write_bytes(image.png())
                if bar is not None:
                    bar.update((position + 1) / len(files))
            (temporary / RECORD).write_text(json.dumps(record, indent=1))
            if folder.exists():
                # Here, not in the rename, it shows if others have put something into it meanwhile.
                folder.rmdir()
    except OSError as error:
        raise ConfigError(f"cannot write to {folder} ({error}): choose another folder") from error
    return folder / RECORD


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
