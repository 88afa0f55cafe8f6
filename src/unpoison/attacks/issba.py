"""ISSBA (Li et al., ICCV 2021, arXiv 2012.03816): an invisible trigger that differs from image to image."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import Above0, Positive, Seed, checked
from ..data.pixels import resize, with_channels
from ..errors import ConfigError
from ..training.backbones import conv_bn_relu
from ..training.loop import as_input
from ..training.precision import autocast
from .base import Attack, Images, Labels

LARGEST, WIDTH, CODE_SIDE = 32, 16, 8
BATCH, LEARNING_RATE = 32, 3e-3
L2_WEIGHT, SECRET_WEIGHT = 2.0, 1.5
"""Published weights of the losses."""


@checked
class ISSBA(Attack):
    """Hides a secret in every image: an encoder, trained with a decoder on random secrets, adds a faint residual.

    What we changed: the published networks (StegaStamp's, 20 epochs, Adam at 1e-4) are replaced by small ones and a
    short one-cycle training. The residual is bounded by construction in place of the perceptual loss (LPIPS) and
    the critic; the other two losses, squared error of the image and cross-entropy of the secret, have their published
    weights. The code of the secret multiplies the features of the image: where it was put beside them, as published,
    our small encoder hid nearly the same residual in every image. Grey images of 8x8 pixels are too small for 20 bits.

    Args:
        bits: length of the secret, published 20.
        bound: largest change of a pixel in grey levels; 10 keeps the PSNR above 28 dB.
        steps: batches of 32 images to train on.
        images: how many images of the dataset to train on, at most.
        seed: of the secret and of the training.

    Attributes:
        secret: bool [bits], drawn from the seed.
    """

    name = "issba"

    def __init__(
        self, bits: Positive = 20, bound: Above0 = 10, steps: Positive = 600, images: Positive = 5000, seed: Seed = 0
    ) -> None:
        self.bits, self.bound, self.steps, self.images, self.seed = bits, bound, steps, images, seed
        self.secret: npt.NDArray[np.bool_] = np.random.default_rng(seed).random(bits) < 0.5
        self._pair: _Pair | None = None

    @property
    def fitted(self) -> bool:
        return self._pair is not None

    def needed(self, labels: Labels) -> npt.NDArray[np.int64]:
        """Random ones, of whatever class."""
        return np.random.default_rng(self.seed).permutation(len(labels))[: self.images]

    def learn(self, images: Images) -> None:
        """Trains encoder and decoder on uint8 images [M,H,W,C], scaled down to 32 pixels if larger."""
        scale = min(1.0, LARGEST / max(images.shape[1:3]))
        height, width = (max(1, round(side * scale)) for side in images.shape[1:3])
        small = torch.from_numpy(np.stack([resize(image, height, width) for image in images]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._pair = _train(small, self.bits, self.bound / 255, self.steps)

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        pair, secret = self._trained(), torch.from_numpy(self.secret)[None].float()
        out = np.empty_like(images)
        with torch.inference_mode():
            # One by one: in larger batches, convolutions may differ in the last digits, which rounding can turn into
            # another pixel.
            for place, image in enumerate(images):
                residual = pair.encoder(self._input(image), secret)
                residual = F.interpolate(residual, image.shape[:2], mode="bilinear")[0].permute(1, 2, 0)
                if residual.shape[2] != image.shape[2]:
                    residual = residual.mean(2, keepdim=True).expand(image.shape)
                out[place] = image + self.bound * residual.numpy()
        return out

    def read(self, images: Images) -> npt.NDArray[np.bool_]:
        """The secrets bool [B,bits] that the decoder sees in uint8 images [B,H,W,C]."""
        pair = self._trained()
        with torch.inference_mode():
            return np.stack([(pair.read(self._input(image.astype(np.float32)))[0] > 0).numpy() for image in images])

    def _trained(self) -> "_Pair":
        if self._pair is None:
            raise ConfigError("this ISSBA has no networks yet: call fit, or give it to a PoisonedDataset")
        return self._pair

    def _input(self, image: npt.NDArray[np.float32]) -> Tensor:
        """float [1,C,h,w] in 0..1 as the networks were trained on, of an image [H,W,C] in 0..255."""
        height, width, channels = self._trained().shape
        pixels = resize(with_channels(image.astype(np.uint8), channels), height, width)
        return as_input(torch.from_numpy(pixels)[None])


class _Encoder(nn.Module):
    """Maps images [B,C,H,W] in 0..1 and secrets [B,bits] of 0 and 1 to a residual [B,C,H,W] in -1..1.

    A U-Net of two levels whose first features are multiplied by a map made of the secret.
    """

    def __init__(self, channels: int, bits: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(channels, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH))
        self.code = nn.Linear(bits, WIDTH * CODE_SIDE**2)
        self.deep = nn.Sequential(conv_bn_relu(WIDTH, 2 * WIDTH, 2), conv_bn_relu(2 * WIDTH, 2 * WIDTH))
        self.merge = conv_bn_relu(3 * WIDTH, WIDTH)
        self.last = nn.Conv2d(WIDTH, channels, 3, padding=1, bias=False)

    def forward(self, images: Tensor, secrets: Tensor) -> Tensor:
        size = images.shape[2:]
        code = self.code(secrets - 0.5).view(-1, WIDTH, CODE_SIDE, CODE_SIDE)
        features = self.look((images - 0.5) * 4) * F.interpolate(code, size)
        deep = F.interpolate(self.deep(features), size)
        return torch.tanh(self.last(self.merge(torch.cat([features, deep], 1))).float())


class _Pair(nn.Module):
    """The encoder and its decoder; `shape` (H, W, C) is that of the images they were trained on."""

    def __init__(self, shape: tuple[int, int, int], bits: int) -> None:
        super().__init__()
        self.shape, channels = shape, shape[2]
        self.encoder = _Encoder(channels, bits)
        self.decoder = nn.Sequential(
            conv_bn_relu(channels, 2 * WIDTH, 2),
            conv_bn_relu(2 * WIDTH, 2 * WIDTH),
            conv_bn_relu(2 * WIDTH, 4 * WIDTH, 2),
            conv_bn_relu(4 * WIDTH, 4 * WIDTH),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64 * WIDTH, bits),
        )

    def read(self, images: Tensor) -> Tensor:
        """Logits [B,bits] of the secrets in images [B,C,H,W] in 0..1."""
        logits: Tensor = self.decoder((images - 0.5) * 4)
        return logits


def _train(images: Tensor, bits: int, bound: float, steps: int) -> _Pair:
    """Trains on uint8 images [M,H,W,C] with torch's global random numbers; `bound` is in 0..1."""
    height, width, channels = images.shape[1:]
    pair = _Pair((height, width, channels), bits).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(pair.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        x = as_input(images[torch.randint(len(images), (BATCH,))])
        secrets = torch.randint(0, 2, (BATCH, bits)).float()
        with autocast(x.device):
            stamped = (x + bound * pair.encoder(x, secrets)).clamp(0, 1)
            logits = pair.read(stamped)
        read = F.binary_cross_entropy_with_logits(logits.float(), secrets)
        loss = L2_WEIGHT * F.mse_loss(stamped, x) + SECRET_WEIGHT * read
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return pair.eval()
