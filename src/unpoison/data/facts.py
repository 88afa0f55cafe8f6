"""What a survey finds out about items: of one, and of a whole dataset in columns, which take no time to read again."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, UnreadableError
from .reading import Schema

Rows = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is found out about one item."""

    label: int | str | None
    digest: bytes
    """sha256 of the image and the label."""
    file: str = ""
    """Absolute path of the image's file; "" where it is not known."""
    error: UnreadableError | None = None
    """Why it cannot be read; all that follows is known only without one, as the label surely is."""
    size: tuple[int, int] = (0, 0)
    """Height and width."""
    channels: int = 0
    kind: str = ""
    """"f" (float), "i" (integer) or "" (8 bits), of the image's values."""
    peak: float = 0.0
    fractional: bool = False
    """Whether some of the image's values are no whole numbers."""
    extension: str = ""
    only_pixels: bool = False
    plain_jpeg: bool = False
    hidden: str = ""
    """The hidden folder that it lies in."""
    form: str = ""
    """Where image and label lie in the item, and how the image is decoded."""


class Words(NamedTuple):
    """Few texts, many times."""

    codes: npt.NDArray[np.int32]
    """int32 [N]; positions in `vocabulary`."""
    vocabulary: list[str]

    @classmethod
    def of(cls, values: list[str]) -> Self:
        places: dict[str, int] = {}
        codes = [places.setdefault(value, len(places)) for value in values]
        return cls(np.array(codes, np.int32), list(places))

    def used(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Where each text that occurs is, bool [N], in the order of the alphabet."""
        found = {self.vocabulary[code]: self.codes == code for code in np.unique(self.codes).tolist()}
        return dict(sorted(found.items()))

    def take(self, rows: Rows) -> Self:
        return self._replace(codes=self.codes[rows])

    def with_others(self, more: "Words") -> Self:
        places = {word: place for place, word in enumerate(self.vocabulary)}
        moved = [places.setdefault(word, len(places)) for word in more.vocabulary]
        codes = np.concatenate([self.codes, np.array(moved, np.int32)[more.codes]])
        return self._replace(codes=codes, vocabulary=list(places))


class Texts(NamedTuple):
    """Many texts, of which each may be another one: in one piece, which is only cut where it must be."""

    packed: bytes
    """In UTF-8, separated by zero bytes."""

    @classmethod
    def of(cls, values: list[str]) -> Self:
        return cls("\0".join(values).encode(errors="surrogateescape"))

    def all(self) -> list[str]:
        return self.packed.decode(errors="surrogateescape").split("\0")

    def take(self, rows: Rows) -> Self:
        pieces = self.packed.split(b"\0")
        return self._replace(packed=b"\0".join([pieces[row] for row in rows.tolist()]))

    def with_others(self, more: "Texts") -> Self:
        return self._replace(packed=self.packed + b"\0" + more.packed)


Column = npt.NDArray[Any] | Words | Texts
_WORDS, _TEXTS = ("kind", "extension", "hidden", "form"), ("file",)
_ARRAYS = {
    "size": "i", "channels": "i", "peak": "f", "digest": "u", "fractional": "b", "only_pixels": "b", "plain_jpeg": "b"
}  # fmt: skip
_CODED = {"codes": ("i", 1), "words": ("u", 1)}
SCHEMA: Schema = {
    **{name: (kind, 2 if name in ("size", "digest") else 1) for name, kind in _ARRAYS.items()},
    **{f"{name}.{part}": array for name in _WORDS for part, array in _CODED.items()},
    **dict.fromkeys(_TEXTS, ("u", 1)),
}
"""Of what `Facts.arrays` gives."""
LABELS: Schema = {"label": ("i", 1), **{f"label.{part}": array for part, array in _CODED.items()}}
"""Of which there is the first, or the others."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts on N items, by their names as of `Fact`; labels are int64 [N] or `Words`."""

    columns: Mapping[str, Column]

    @classmethod
    def of(cls, facts: list[Fact]) -> Self:
        """Of items that can be read; raises DatasetError for labels of several kinds."""
        values = {field.name: [getattr(fact, field.name) for fact in facts] for field in dataclasses.fields(Fact)}
        kinds = {type(label) for label in values["label"]}
        if len(kinds) > 1:
            raise DatasetError("some labels are numbers and some are strings: use one kind")
        types = {"i": np.int64, "f": np.float64, "b": np.bool_}
        columns: dict[str, Column] = {
            name: np.array(values[name], types[kind]) for name, kind in _ARRAYS.items() if name != "digest"
        }
        columns["size"] = np.array(values["size"], np.int64).reshape(-1, 2)
        columns["digest"] = np.frombuffer(b"".join(values["digest"]), np.uint8).reshape(-1, 32)
        columns["label"] = Words.of(values["label"]) if kinds == {str} else np.array(values["label"], np.int64)
        columns |= {name: Words.of(values[name]) for name in _WORDS}
        columns |= {name: Texts.of(values[name]) for name in _TEXTS}
        return cls(columns)

    def __len__(self) -> int:
        return len(self.array("digest"))

    def array(self, name: str) -> npt.NDArray[Any]:
        column = self.columns[name]
        assert isinstance(column, np.ndarray)
        return column

    def words(self, name: str) -> Words:
        column = self.columns[name]
        assert isinstance(column, Words)
        return column

    def texts(self, name: str) -> Texts:
        column = self.columns[name]
        assert isinstance(column, Texts)
        return column

    @property
    def text_labels(self) -> bool:
        return isinstance(self.columns["label"], Words)

    def take(self, rows: Rows) -> Self:
        """Those of chosen rows."""
        taken = {name: c[rows] if isinstance(c, np.ndarray) else c.take(rows) for name, c in self.columns.items()}
        return type(self)(taken)

    def with_others(self, more: "Facts") -> Self:
        """These, then others.

        Raises:
            DatasetError: the labels are of several kinds.
        """
        if not len(more):
            return self
        if self.text_labels != more.text_labels:
            raise DatasetError("some labels are numbers and some are strings: use one kind")
        joined: dict[str, Column] = {}
        for name, column in self.columns.items():
            if isinstance(column, Words):
                joined[name] = column.with_others(more.words(name))
            elif isinstance(column, Texts):
                joined[name] = column.with_others(more.texts(name))
            else:
                joined[name] = np.concatenate([column, more.array(name)])
        return type(self)(joined)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """As plain arrays, for a file."""
        out: dict[str, npt.NDArray[Any]] = {}
        for name, column in self.columns.items():
            if isinstance(column, Words):
                words = np.frombuffer(Texts.of(column.vocabulary).packed, np.uint8)
                out |= {f"{name}.codes": column.codes, f"{name}.words": words}
            elif isinstance(column, Texts):
                out[name] = np.frombuffer(column.packed, np.uint8)
            else:
                out[name] = column
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What `arrays` gave, of the right kinds.

        Raises:
            KeyError, ValueError: it does not fit together.
        """
        columns: dict[str, Column] = {name: arrays[name] for name in _ARRAYS}
        for name in (*_WORDS, *(["label"] if "label.codes" in arrays else [])):
            words = Words(arrays[f"{name}.codes"], Texts(arrays[f"{name}.words"].tobytes()).all())
            if words.codes.dtype != np.int32 or not (words.codes >= 0).all() & (words.codes < len(words[1])).all():
                raise ValueError(f"{name} is damaged")
            columns[name] = words
        if "label" not in columns:
            columns["label"] = arrays["label"]
        for name in _TEXTS:
            columns[name] = Texts(arrays[name].tobytes())
        found = cls(columns)
        count = len(found)
        if any(len(column) != count for column in columns.values() if isinstance(column, np.ndarray)):
            raise ValueError("a column has another length")
        if any(len(column.codes) != count for column in columns.values() if isinstance(column, Words)):
            raise ValueError("a column has another length")
        if any(column.packed.count(b"\0") != count - 1 for column in columns.values() if isinstance(column, Texts)):
            raise ValueError("a column has another length")
        if found.array("digest").shape != (count, 32) or found.array("size").shape != (count, 2):
            raise ValueError("a column has another shape")
        return found
