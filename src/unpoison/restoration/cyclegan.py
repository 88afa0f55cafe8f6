"""PD-AutoR-cycleGAN (section 3.2): trains R against G_p and two discriminators, without any pairs."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..context import Context
from ..training.loop import as_input
from ..training.precision import autocast
from ..training.threads import follow_load
from .config import RestorationConfig
from .networks import Generator, MultiGranularityDiscriminator
from .restorer import Restorer


def train_cyclegan(
    restorer: Restorer,
    images: npt.NDArray[np.uint8],
    poisoned: npt.NDArray[np.bool_],
    config: RestorationConfig,
    context: Context,
) -> None:
    """Trains the generator of a restorer in place.

    Args:
        restorer: R, of no known trigger.
        images: uint8 [N,H,W,C].
        poisoned: bool [N], the members of D_p; the rest is D_c.
    """
    flagged, clean = np.flatnonzero(poisoned), np.flatnonzero(~poisoned)
    batch = min(config.batch_size, len(clean))
    steps = config.cyclegan_epochs * max(1, len(clean) // batch)
    if config.cyclegan_max_steps is not None:
        steps = min(steps, config.cyclegan_max_steps)
    if not steps or not len(flagged):
        return
    torch.manual_seed(context.seed)
    networks = _CycleGAN(restorer.generator, images.shape[1:], config, context.device)
    rng = np.random.default_rng(context.seed)

    def draw(pool: npt.NDArray[np.int64]) -> Tensor:
        # With replacement: D_p is far smaller than D_c, and each of its images is seen that much oftener.
        return as_input(torch.from_numpy(images[rng.choice(pool, batch)]).to(context.device))

    restorer.generator.train()
    for step in range(steps):
        follow_load()
        networks.step(draw(flagged), draw(clean))
        context.update((step + 1) / steps)
    restorer.generator.eval()
    if config.max_clean_error is not None:
        _limit_clean_error(restorer, images[np.sort(rng.choice(clean, min(256, len(clean)), replace=False))], config)


class _CycleGAN:
    """The generators R and G_p, the discriminators of what they make, and the optimisers of both.

    Args:
        r: the generator of R, which is trained in place.
        shape: (H, W, C) of the images.
    """

    def __init__(self, r: Generator, shape: tuple[int, ...], config: RestorationConfig, device: torch.device) -> None:
        height, width, channels = shape
        size = (height, width)
        self._config, self._device, self._r = config, device, r
        self._g_p = Generator(
            channels,
            size,
            config.width,
            config.transformer_depth,
            residual=config.residual,
            positions=config.positions,
        ).to(device)
        self._d_pd, self._d_cd = (
            MultiGranularityDiscriminator(channels, size, granularities=config.granularities).to(device)
            for _ in range(2)
        )
        # Beta 0.5 as in CycleGAN (Zhu et al., 2017), which steadies adversarial training.
        rate, betas = config.learning_rate, (0.5, 0.999)
        self._generators = torch.optim.Adam([*r.parameters(), *self._g_p.parameters()], rate, betas)
        self._discriminators = torch.optim.Adam([*self._d_pd.parameters(), *self._d_cd.parameters()], rate, betas)

    def step(self, x: Tensor, clean_x: Tensor) -> None:
        """Trains the discriminators, then the generators, on float images [B,C,H,W] of D_p and of D_c."""
        with autocast(self._device):
            fake_clean, fake_poisoned = self._r(x), self._g_p(clean_x)
            loss = self._discriminator_loss(x, clean_x, fake_poisoned.detach(), fake_clean.detach())
        _minimise(loss, self._discriminators)
        with autocast(self._device):
            loss = self._generator_loss(x, clean_x, fake_poisoned, fake_clean)
        _minimise(loss, self._generators)

    def _discriminator_loss(self, x: Tensor, clean_x: Tensor, fake_poisoned: Tensor, fake_clean: Tensor) -> Tensor:
        """What is minimised where the discriminators maximise equations 2 and 3."""
        return (
            _adversarial(self._d_pd(x), True)  # (2), first term
            + _adversarial(self._d_pd(fake_poisoned), False)  # (2), second term
            + _adversarial(self._d_cd(clean_x), True)  # (3), first term
            + _adversarial(self._d_cd(fake_clean), False)  # (3), second term
        )

    def _generator_loss(self, x: Tensor, clean_x: Tensor, fake_poisoned: Tensor, fake_clean: Tensor) -> Tensor:
        config = self._config
        # Generators minimise the second terms of (2) and (3), in the form whose gradient does not vanish.
        adversarial = _adversarial(self._d_pd(fake_poisoned), True) + _adversarial(self._d_cd(fake_clean), True)
        cycle = (
            F.l1_loss(self._r(_disturbed(fake_poisoned, config.steganography_noise)), clean_x)  # (4)
            + F.l1_loss(self._g_p(_disturbed(fake_clean, config.steganography_noise)), x)  # (5)
        )
        content = F.l1_loss(fake_poisoned, clean_x) + F.l1_loss(fake_clean, x)  # (6), (7)
        return adversarial + config.cycle_weight * cycle + config.content_weight * content


def _minimise(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()


def _adversarial(logits: Tensor, real: bool) -> Tensor:
    """-log D for images to be judged real, -log(1 - D) for the others."""
    return F.softplus(-logits.float() if real else logits.float()).mean()


def _disturbed(images: Tensor, noise: float) -> Tensor:
    """What a stored image would keep: grey levels and noise erase a code that is fainter than them."""
    if not noise:
        return images
    # The gradient passes rounding as if it were not there.
    rounded = images + ((images.clamp(0, 1) * 255).round() / 255 - images).detach()
    return rounded + noise * torch.randn_like(images)


@torch.inference_mode()
def _limit_clean_error(restorer: Restorer, clean: npt.NDArray[np.uint8], config: RestorationConfig) -> None:
    assert config.max_clean_error is not None
    x = as_input(torch.from_numpy(clean).to(restorer.strength.device))
    error = float((restorer.restore(x).clamp(0, 1) - x).abs().mean())
    restorer.strength.fill_(min(1.0, config.max_clean_error / max(error, 1e-9)))
