"""Neural Attention Distillation (Li et al., ICLR 2021, arXiv 2101.05930): heals a model instead of its data.

BaB compares with it (its section 5.1 and Table 1).
"""

import copy
import dataclasses

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from unpoison.errors import ConfigError
from unpoison.training.backbones import Backbone
from unpoison.training.loop import Loss, TrainingConfig, on_device, train
from unpoison.training.precision import autocast

_TEACHER = TrainingConfig(epochs=10, batch_size=64, learning_rate=0.1, schedule="multistep", weight_decay=1e-4)
_STUDENT = dataclasses.replace(_TEACHER, epochs=100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NADConfig:
    """How a model is healed; the defaults are those of BaB's comparison.

    Raises:
        ConfigError: a weight is negative.
    """

    teacher: TrainingConfig = _TEACHER
    """Fine-tuning of the teacher. The published rate is divided by 10 every two epochs, here at half and at three
    quarters of them; cropping and cutout are left out, since BaB augments nothing."""
    student: TrainingConfig = _STUDENT
    """Distillation; the NAD paper itself has 10 to 20 epochs."""
    betas: tuple[float, float, float] = (500.0, 1000.0, 1000.0)
    """Weight of the attention loss at the end of each of the last three stages, lowest first."""

    def __post_init__(self) -> None:
        if min(self.betas) < 0:
            raise ConfigError(f"betas must not be negative, got {self.betas}")


DEFAULT = NADConfig()


def heal(
    model: Backbone,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: NADConfig = DEFAULT,
    *,
    device: torch.device,
    seed: int = 0,
) -> Backbone:
    """A copy of a poisoned model that pays attention where a teacher does: the model fine-tuned on clean images.

    Args:
        model: stays as it is.
        images: uint8 [N,H,W,C], known to be clean; the paper takes 5 % of the training data.
        labels: int64 [N].

    Raises:
        ConfigError: there are not at least two images with a label each.
    """
    if len(images) < 2 or len(images) != len(labels):
        raise ConfigError(f"need two or more clean images and a label for each, got {len(images)} and {len(labels)}")
    x, y = on_device(images, device), torch.from_numpy(labels).to(device)
    teacher, student = copy.deepcopy(model), copy.deepcopy(model)
    for _ in train(teacher, x, y, config.teacher, seed):
        pass
    teacher.eval()
    for _ in train(student, x, y, config.student, seed, attention_loss(teacher, config.betas)):
        pass
    return student.eval()


def attention_loss(teacher: Backbone, betas: tuple[float, float, float]) -> Loss:
    """Cross-entropy plus the weighted mean squared differences between the student's and the teacher's attention.

    The paper writes norms; its weights belong to the squares, which the authors' code has.
    """

    def loss(student: Backbone, images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        with autocast(images.device):
            maps, logits = student.forward_stages(images)
            with torch.no_grad():
                wanted, _ = teacher.forward_stages(images)
        value = F.cross_entropy(logits.float(), labels)
        for beta, one, other in zip(betas, maps, wanted, strict=True):
            value = value + beta * F.mse_loss(attention(one), attention(other))
        return value

    return loss


def attention(maps: Tensor) -> Tensor:
    """Where a stage looks: activations [B,C,H,W], squared and summed over channels, of unit norm, float32 [B,H·W]."""
    return F.normalize(maps.float().square().sum(1).flatten(1), dim=1)
