"""One raw item, and the transforms that lead from it to the item as the dataset gives it."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..errors import DatasetError
from ..keep import KEEP
from .encoded import Encoded, file_of
from .images import fingerprint
from .item_errors import naming_item
from .items import Keys, class_of, put, with_parts
from .overrides import apply_to_image, wants_keywords
from .replay import Replay
from .steps import NotFoundAgain, Step, is_chain, note_again


class Record:
    """One raw item.

    Args:
        verified: whether replays were found equal to the dataset's own items where a transform's results are not
            found again in the item.

    Attributes:
        item: as the dataset gives it without its transforms; its image may be `Encoded`.
    """

    def __init__(self, index: int, item: Any, keys: Keys, steps: list[Step], verified: bool = True) -> None:
        self.index, self.item, self.keys, self.steps, self._verified = index, item, keys, steps, verified

    @property
    def stored_image(self) -> Any:
        """The image; `Encoded` where it comes straight from a file."""
        return self.item[self.keys.image]

    @cached_property
    def image(self) -> Any:
        """The image, decoded: what the transforms are given.

        Raises:
            UnreadableError: the file is missing or damaged.
        """
        with naming_item(self.index, self.file):
            return self.stored_image.decode() if isinstance(self.stored_image, Encoded) else self.stored_image

    @property
    def file(self) -> str:
        """The path of the image's file, only a name where it has none of its own; "" where it is not known."""
        return file_of(self.stored_image)

    @property
    def label(self) -> Any:
        return self.item[self.keys.label]

    @cached_property
    def replay(self) -> Replay:
        """The calls of the transforms, as they lead to the item."""
        return Replay(self.steps, self.item, self.keys)

    def digest(self) -> bytes:
        """sha256 of the exact image and the class."""
        return fingerprint(self.stored_image, class_of(self.label))

    def finish(
        self, image: Any = KEEP, label: Any = KEEP, *, transform: Any = KEEP, target_transform: Any = KEEP
    ) -> Any:
        """The item with another image and label, and the transforms re-applied.

        Args:
            image: replaces the raw image.
            label: replaces the raw label.
            transform: used on the image instead of the dataset's own transforms; None for none.
            target_transform: used on the label instead of the dataset's own; None for none.

        Raises:
            DatasetError: the transforms cannot be called as the dataset calls them.
        """
        image, label = self.image if image is KEEP else image, self.label if label is KEEP else label
        given = transform is not KEEP and transform is not None
        joint: Step | None = None
        if not self.steps:
            item = self._without_steps(image, label)
        elif is_chain(self.steps, self.item, self.keys):
            # What `Replay` comes to here, in a fraction of the time.
            for step in self.steps:
                if step.args[0] is self.label:
                    label = step.function(label) if target_transform is KEEP else label
                else:
                    image = step.function(image) if transform is KEEP else image
            item = put(self.item, self.keys, image, label)
        else:
            if transform is KEEP and not self._verified:
                self.check_found()
            joint = self._joint(transform) if given else None
            if joint is not None:
                self.check_found()

            def run(step: Step, inputs: Any) -> Any:
                if step is joint:
                    return step.call(inputs, transform)
                own = (target_transform if step.name == "target_transform" else transform) is KEEP
                return step.call(inputs, step.function) if own else inputs

            item = self.replay(image, label, run)
        if given and joint is None:
            item = apply_to_image(transform, item, self.keys)
        if target_transform is not KEEP and target_transform is not None:
            item = with_parts(item, {self.keys.label: target_transform(item[self.keys.label])})
        return item

    def note_again(self, image: Any, label: Any) -> Any:
        """The raw item with another image and label, for a dataset that is read through a wrapper: its transforms
        are noted as those of the item that is being read."""
        return self.replay(image, label, note_again) if self.steps else self._without_steps(image, label)

    def check_found(self) -> None:
        """Raises a NotFoundAgain if the result of a transform is not found again in the item."""
        name = self.replay.lost
        if name is not None:
            raise NotFoundAgain(
                f"what `{name}` returns is changed before it gets into the item, or part of it is left out, so that "
                "the call cannot be repeated on clean images: return its results as they are, or give the transform as "
                "`transform=`"
            )

    def _without_steps(self, image: Any, label: Any) -> Any:
        stored, item = self.stored_image, self.item
        if len(item) == 2:
            return put(item, self.keys, image, label)
        pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
        # The image may lie in several fields.
        return with_parts(item, {**{key: image for key, part in pairs if part is stored}, self.keys.label: label})

    def _joint(self, transform: Any) -> Step | None:
        """The step in which the dataset transforms more than the image, which a transform of the user's takes over.

        Raises:
            DatasetError: the user's transform is not called that way.
        """
        for step in self.steps:
            if step.name != "target_transform" and self.replay.given_with_image(step) > 1:
                if wants_keywords(transform) != step.by_keyword:
                    raise DatasetError(
                        f"the dataset calls `{step.name}` with {'keywords' if step.by_keyword else 'several values'}, "
                        "to change more than the image: give a transform= that is called in the same way"
                    )
                return step
        return None
