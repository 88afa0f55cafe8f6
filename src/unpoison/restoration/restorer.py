"""`Restorer`, the trained content restorator R: uint8 images in, restored uint8 images out; saved as safetensors."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import RestorerError
from ..training.loop import as_input, autocast
from .estimate import KINDS, Estimate, Kind
from .networks import Generator

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
MIN_SIDE, MAX_SIDE = 8, 256
PIXELS_AT_ONCE = 64 * 32 * 32
"""Of a batch: the generator keeps many maps of full resolution, and larger batches are no faster."""
_MAX_WIDTH, _MAX_DEPTH = 256, 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """What `config.json` holds besides the format: enough to build a restorer before its weights are read.

    Raises:
        RestorerError: a value has the wrong type or is out of range.
    """

    height: int
    width: int
    channels: int
    kind: Kind
    """Of the estimate."""
    generator_width: int
    transformer_depth: int
    residual: bool
    positions: bool

    def __post_init__(self) -> None:
        limits = {
            "height": (MIN_SIDE, MAX_SIDE),
            "width": (MIN_SIDE, MAX_SIDE),
            "channels": (1, 4),
            "generator_width": (1, _MAX_WIDTH),
            "transformer_depth": (0, _MAX_DEPTH),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise RestorerError(f"a restorer needs {name} to be a whole number in {low}..{high}, got {value!r}")
        for name in ("residual", "positions"):
            if type(getattr(self, name)) is not bool:
                raise RestorerError(f"a restorer needs {name} to be true or false, got {getattr(self, name)!r}")
        if self.kind not in KINDS:
            raise RestorerError(f"unknown estimate {self.kind!r}: choose one of {', '.join(KINDS)}")


class Restorer(nn.Module):
    """The content restorator R of section 3.2, with the estimate that explains the poison, if any does.

    `restorer(images)` maps uint8 [B,H,W,C] to restored images of the same shape and dtype. Images that do not
    show the explained trigger pass through unchanged.

    Attributes:
        architecture: what the network is built from.
        estimate: the explained transform; kind "none" where the CycleGAN alone restores.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        channels, size = architecture.channels, (architecture.height, architecture.width)
        self.estimate = Estimate(architecture.kind, (*size, channels))
        explained = architecture.kind != "none"
        self.generator = Generator(
            channels,
            size,
            architecture.generator_width,
            architecture.transformer_depth,
            extra=channels + 1 if explained else 0,
            residual=architecture.residual or explained,
            positions=architecture.positions,
        )
        self.register_buffer("strength", torch.ones(()))

    strength: Tensor
    """float32 [], 0..1: how much of an unexplained restoration is applied."""

    def correct(self, images: Tensor) -> Tensor:
        """Restores float images [B,C,H,W] in 0..1 that are taken to be poisoned."""
        if self.estimate.kind == "none":
            return self._generate(images)
        hole = self.estimate.replaced()
        inverse = self.estimate.invert(images)
        restored = self._generate(inverse, images, hole.expand(len(images), -1, -1, -1))
        # Outside a patch the pixels are known.
        return inverse + (restored - inverse) * hole if self.estimate.kind == "patch" else restored

    def _generate(self, *maps: Tensor) -> Tensor:
        with autocast(maps[0].device):
            out: Tensor = self.generator(*maps)
        return out.float()

    def restore(self, images: Tensor) -> Tensor:
        """Restores float images [B,C,H,W] in 0..1, each as far as it shows the trigger."""
        explained = self.estimate.kind != "none"
        share = torch.sigmoid(self.estimate.log_odds(images)) if explained else self.strength.expand(len(images))
        return images + share[:, None, None, None] * (self.correct(images) - images)

    def check(self, shape: Sequence[int]) -> None:
        """Refuses images whose shape [H,W,C] is another than that which the restorer was trained for.

        Raises:
            RestorerError: as said.
        """
        a = self.architecture
        if tuple(shape) != (a.height, a.width, a.channels):
            raise RestorerError(
                f"this restorer takes images [{a.height},{a.width},{a.channels}], got {[*shape]}: resize them, or "
                "train a restorer for them"
            )

    def invert_only(self) -> None:
        """Leaves a patch as the inverted estimate fills it: the generator adds nothing."""
        last = self.generator.network.last
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Restores uint8 images.

        Args:
            images: uint8 [B,H,W,C] on the restorer's device.

        Raises:
            RestorerError: the images have another dtype or size than the restorer was trained for.
        """
        if images.dtype != torch.uint8:
            raise RestorerError(f"a restorer takes uint8 images [B,H,W,C], got {images.dtype}: convert them")
        self.check(images.shape[1:])
        a = self.architecture
        out = torch.empty_like(images)
        batch = max(1, PIXELS_AT_ONCE // (a.height * a.width))
        for start in range(0, len(images), batch):
            restored = self.restore(as_input(images[start : start + batch])).clamp(0, 1).mul(255).round()
            out[start : start + batch] = restored.permute(0, 2, 3, 1).to(torch.uint8)
        return out

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes `config.json` and `model.safetensors` into a folder, which is created; returns the folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        facts = {"model_type": "unpoison-restorer", "format": FORMAT, **dataclasses.asdict(self.architecture)}
        (folder / CONFIG).write_text(json.dumps(facts, indent=2) + "\n")
        return folder

    @classmethod
    def from_pretrained(cls, id_or_path: str | Path, revision: str | None = None) -> Self:
        """Reads what `save_pretrained` wrote; nothing is unpickled, and nothing is built before the sizes are
        checked.

        Args:
            id_or_path: a local folder.
            revision: of a Hub repository; must be None for a folder.

        Raises:
            RestorerError: the files are missing, damaged, of a newer format or do not fit each other.
        """
        folder = Path(id_or_path)
        if not folder.is_dir() or revision is not None:
            raise RestorerError(f"{id_or_path} is not a local folder: give the folder that save_pretrained wrote")
        restorer = cls(_read_config(folder / CONFIG))
        _read_weights(folder / WEIGHTS, restorer)
        return restorer.eval()


def _read_config(path: Path) -> Architecture:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RestorerError(f"cannot read {path}: {error}. Save the restorer again with save_pretrained") from error
    if not isinstance(facts, dict) or facts.pop("model_type", None) != "unpoison-restorer":
        raise RestorerError(f"{path} does not describe an unpoison restorer: check the folder")
    if facts.pop("format", None) != FORMAT:
        raise RestorerError(f"{path} has another format than {FORMAT}: install the unpoison that wrote it")
    try:
        return Architecture(**facts)
    except TypeError as error:
        raise RestorerError(f"{path} has missing or unknown entries: {error}") from error


def _read_weights(path: Path, restorer: Restorer) -> None:
    expected = restorer.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            found = set(file.keys())
            if found != set(expected):
                missing, unknown = sorted(set(expected) - found), sorted(found - set(expected))
                raise RestorerError(
                    f"{path} does not fit its config.json (missing {missing[:3]}, unknown {unknown[:3]}): "
                    f"use the two files of one save_pretrained"
                )
            for name, tensor in expected.items():
                part = file.get_slice(name)
                if part.get_shape() != list(tensor.shape) or part.get_dtype() != "F32":
                    raise RestorerError(
                        f"{path}: {name} is {part.get_dtype()} {part.get_shape()} instead of F32 "
                        f"{list(tensor.shape)}: use the two files of one save_pretrained"
                    )
            tensors = {name: file.get_tensor(name) for name in expected}
    except (OSError, SafetensorError) as error:
        raise RestorerError(f"cannot read {path}: {error}. Save the restorer again with save_pretrained") from error
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise RestorerError(f"{path} holds values that are not finite: train the restorer again")
    restorer.load_state_dict(tensors, strict=True)
