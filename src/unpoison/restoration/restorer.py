"""`Restorer`, the trained content restorator R: uint8 images in, restored uint8 images out; saved as safetensors."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from torch import Tensor, nn

from .. import hub
from ..checks import AnyPath, checked
from ..data.checksums import MAX_SUMS, SUMS, Checked
from ..data.files import MAX_SIGNATURE, SIGNATURE, WRITE_ERRORS, reason_of
from ..data.outputs import adding_to
from ..errors import RestorerError
from ..training.loop import as_input
from ..training.precision import autocast
from ..triggers import UNEXPLAINED, Trigger, get_trigger
from . import files
from .architecture import Architecture
from .card import Card
from .networks import Generator

_README = "README.md"
PIXELS_AT_ONCE = 64 * 32 * 32
"""Of a batch: the generator keeps many maps of full resolution, and larger batches are no faster."""


class Restorer(nn.Module, PyTorchModelHubMixin):
    """The content restorator R of section 3.2, with the trigger that explains the poison, if any does.

    `restorer(images)` maps uint8 [B,H,W,C] to restored images of the same shape and dtype. Images that do not
    show the explained trigger pass through unchanged.

    Attributes:
        architecture: what the network is built from.
        trigger: what it takes off; None where the CycleGAN alone restores.
        generator: the network, a ViT-aided U-Net.
        origin: "user/name@commit" where it came from the Hub.
    """

    origin: str | None = None

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        channels, size = architecture.channels, (architecture.height, architecture.width)
        explained = architecture.kind != UNEXPLAINED
        self.trigger = get_trigger(architecture.kind)((*size, channels)) if explained else None
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

    trigger: Trigger | None
    strength: Tensor
    """float32 [], 0..1: how much of an unexplained restoration is applied."""

    def correct(self, images: Tensor) -> Tensor:
        """Restores float images [B,C,H,W] in 0..1 that are taken to be poisoned."""
        if self.trigger is None:
            return self._generate(images)
        hole = self.trigger.hole(images)
        inverse = self.trigger.invert(images)
        restored = self._generate(inverse, images, hole.expand(len(images), -1, -1, -1))
        # Outside a patch the pixels are known.
        return inverse + (restored - inverse) * hole if self.trigger.replaces else restored

    def _generate(self, *maps: Tensor) -> Tensor:
        with autocast(maps[0].device):
            out: Tensor = self.generator(*maps)
        return out.float()

    def restore(self, images: Tensor) -> Tensor:
        """Restores float images [B,C,H,W] in 0..1, each as far as it shows the trigger."""
        known = self.trigger
        share = self.strength.expand(len(images)) if known is None else torch.sigmoid(known.log_odds(images))
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
        """Leaves images as the inverted trigger does: the generator adds nothing."""
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

    @checked
    def save_pretrained(  # type: ignore[override]
        self, save_directory: AnyPath, *, card: Card | None = None
    ) -> Path:
        """Writes `config.json`, `model.safetensors`, their checksums in `SHA256SUMS` and, unless there is one, the
        model card `README.md`. A restorer that was there stays until all of this is on disk.

        Args:
            save_directory: the folder, which is created.
            card: what the model card says.

        Returns:
            The folder.

        Raises:
            RestorerError: another model lies there, or the folder cannot be written.
        """
        folder = Path(save_directory)
        files.check_place(folder)
        try:
            with adding_to(folder, (files.CONFIG, files.WEIGHTS)) as new:
                self._write(new, card)
                if (folder / _README).exists():
                    (new / _README).unlink()
        except WRITE_ERRORS as error:
            raise RestorerError(
                f"cannot write to {folder} ({reason_of(error)}): free some space or choose another folder"
            ) from error
        return folder

    def _write(self, folder: Path, card: Card | None = None) -> None:
        """What `save_pretrained` writes, into a folder where no restorer is.

        Raises:
            OSError, SafetensorError: it cannot be written.
        """
        super().save_pretrained(folder, model_card_kwargs={"card": card})

    @checked
    def push_to_hub(  # type: ignore[override]
        self,
        repo_id: str,
        *,
        card: Card | None = None,
        private: bool | None = None,
        commit_message: str = "Add a restorer",
    ) -> str:
        """Uploads the restorer to the Hub.

        Args:
            repo_id: "user/name"; the repository is created if it does not exist.
            card: what the model card says.
            private: whether a new repository is private; as the account's settings say when None.

        Returns:
            The address of the commit.

        Raises:
            HubError: the Hub cannot be reached or does not let you write.
        """
        with tempfile.TemporaryDirectory() as folder:
            return hub.push_folder(
                self.save_pretrained(folder, card=card), repo_id, private=private, message=commit_message
            )

    @classmethod
    @checked
    def from_pretrained(  # type: ignore[override]
        cls, id_or_path: AnyPath, revision: str | None = None, *, signed_by: AnyPath | None = None
    ) -> Self:
        """Reads what `save_pretrained` wrote; nothing is unpickled, and nothing is downloaded or built before the
        sizes are checked.

        Args:
            id_or_path: a local folder, or a repository on the Hub: "user/name" or "user/name@revision".
            revision: branch, tag or commit of the repository; must be None for a folder.
            signed_by: the public key that it must be signed with, as `unpoison sign` does, or a file with it. Nobody
                must have signed it when None.

        Raises:
            RestorerError: the files are missing, damaged, of a newer format or do not fit each other.
            SignatureError: they are not signed with this key.
            HubError: the repository cannot be found or reached.
        """
        folder = Path(id_or_path)
        if folder.is_dir():
            if revision is not None:
                raise RestorerError(f"{folder} is a folder, which has no revision: leave revision out")
            return cls._read(folder, signed_by)
        if isinstance(id_or_path, Path):
            raise RestorerError(f"{folder} is not a folder: give the one that save_pretrained wrote")
        folder, origin = fetch(id_or_path, revision, signed_by)
        restorer = cls._read(folder, signed_by)
        restorer.origin = origin
        return restorer

    @classmethod
    def _read(cls, folder: Path, signed_by: str | Path | None = None) -> Self:
        with files.explaining():
            found = Checked(folder, signed_by)
            architecture = files.read_architecture(found)
            outline = _outline(architecture)
            weights = found.check(files.WEIGHTS, files.max_weights(architecture, outline))
            tensors = files.read_weights(weights, outline)
        restorer = cls(architecture)
        restorer.load_state_dict(tensors, strict=True)
        return restorer.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        files.write(save_directory, self.architecture, self.state_dict())

    def generate_model_card(self, card: Card | None = None, **_: Any) -> ModelCard:
        """The model card, from what the architecture tells and what the author says."""
        parameters = sum(tensor.numel() for tensor in self.state_dict().values())
        undoes = "unexplained changes, by a CycleGAN" if self.trigger is None else self.trigger.description
        return (card or Card()).render(self.architecture, parameters, undoes)


def fetch(id_: str, revision: str | None = None, signed_by: str | Path | None = None) -> tuple[Path, str]:
    """Downloads a restorer, whose weights are not looked at yet; returns its folder and "user/name@commit".

    Raises as `Restorer.from_pretrained` does.
    """
    snapshot = hub.open_snapshot(hub.parse(id_, revision), files.CONFIG, files.MAX_CONFIG)
    snapshot.fetch(files.CONFIG, files.MAX_CONFIG)
    folder = snapshot.fetch(SUMS, MAX_SUMS).parent
    if SIGNATURE in (snapshot.files or ()):
        snapshot.fetch(SIGNATURE, MAX_SIGNATURE)
    with files.explaining():
        architecture = files.read_architecture(Checked(folder, signed_by))
    snapshot.fetch(files.WEIGHTS, files.max_weights(architecture, _outline(architecture)))
    return folder, str(snapshot.source)


def _outline(architecture: Architecture) -> dict[str, Tensor]:
    """The tensors by name, without memory behind them."""
    with torch.device("meta"):
        return Restorer(architecture).state_dict()
