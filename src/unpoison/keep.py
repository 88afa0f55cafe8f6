"""What an argument is where what there is already is to stay."""

import enum
from typing import Final


class _Keep(enum.Enum):
    KEEP = "keep the wrapped dataset's transform"


KEEP: Final = _Keep.KEEP
