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
    device = context.device
    height, width, channels = images.shape[1:]
    size = (height, width)
    torch.manual_seed(context.seed)
    r = restorer.generator
    g_p = Generator(
        channels,
        size,
        config.width,
        config.transformer_depth,
        residual=config.residual,
        positions=config.positions,
    ).to(device)
    d_pd, d_cd = (
        MultiGranularityDiscriminator(channels, size, granularities=config.granularities).to(device) for _ in range(2)
    )
    # Beta 0.5 as in CycleGAN (Zhu et al., 2017), which steadies adversarial training.
    generators = torch.optim.Adam([*r.parameters(), *g_p.parameters()], config.learning_rate, (0.5, 0.999))
    discriminators = torch.optim.Adam([*d_pd.parameters(), *d_cd.parameters()], config.learning_rate, (0.5, 0.999))
    rng = np.random.default_rng(context.seed)

    def draw(pool: npt.NDArray[np.int64]) -> Tensor:
        # With replacement: D_p is far smaller than D_c, and each of its images is seen that much oftener.
        return as_input(torch.from_numpy(images[rng.choice(pool, batch)]).to(device))

    r.train()
    for step in range(steps):
        follow_load()
        x, clean_x = draw(flagged), draw(clean)
        with autocast(device):
            fake_clean, fake_poisoned = r(x), g_p(clean_x)

            # Discriminators maximise equations 2 and 3.
            loss = (
                _adversarial(d_pd(x), True)  # (2), first term
                + _adversarial(d_pd(fake_poisoned.detach()), False)  # (2), second term
                + _adversarial(d_cd(clean_x), True)  # (3), first term
                + _adversarial(d_cd(fake_clean.detach()), False)  # (3), second term
            )
        discriminators.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        discriminators.step()

        with autocast(device):
            # Generators minimise the second terms of (2) and (3), in the form whose gradient does not vanish.
            adversarial = _adversarial(d_pd(fake_poisoned), True) + _adversarial(d_cd(fake_clean), True)
            cycle = (
                F.l1_loss(r(_disturbed(fake_poisoned, config.steganography_noise)), clean_x)  # (4)
                + F.l1_loss(g_p(_disturbed(fake_clean, config.steganography_noise)), x)  # (5)
            )
            content = F.l1_loss(fake_poisoned, clean_x) + F.l1_loss(fake_clean, x)  # (6), (7)
            loss = adversarial + config.cycle_weight * cycle + config.content_weight * content
        generators.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        generators.step()
        context.update((step + 1) / steps)
    r.eval()
    if config.max_clean_error is not None:
        _limit_clean_error(restorer, images[np.sort(rng.choice(clean, min(256, len(clean)), replace=False))], config)


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
