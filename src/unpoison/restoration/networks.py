"""The paper's networks (section 3.2): ViT-aided U-Net and multi-granularity transformer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TransformerBlock(nn.Module):
    """Pre-norm block of the Vision Transformer (Dosovitskiy et al., 2021, arXiv 2010.11929) on tokens [B,T,D]."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, dim = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).view(batch, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, dim)
        tokens = tokens + self.project(attended)
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


def levels_of(height: int, width: int) -> int:
    """Halvings until the longer side is at most 8 tokens, at least one."""
    levels = 1
    while max(height, width) > 8 << levels:
        levels += 1
    return levels


def _double_conv(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.GroupNorm(1, width),
        nn.SiLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.SiLU(inplace=True),
    )


class ViTUNet(nn.Module):
    """U-Net (Ronneberger et al., 2015) with a Vision Transformer between encoder and decoder: G_p and R.

    Maps float [B,channels,H,W] to [B,outputs,H,W] without an activation at the end. Sizes that do not halve
    evenly are padded inside by repeating the border.

    Args:
        channels: of the input.
        outputs: channels of the result.
        size: (H, W).
        width: channels of the first level; they double at each level up to eight times.
        depth: transformer blocks; without any it is a plain U-Net.
    """

    def __init__(self, channels: int, outputs: int, size: tuple[int, int], width: int, depth: int) -> None:
        super().__init__()
        levels = levels_of(*size)
        self.size, self.multiple = size, 1 << levels
        widths = [width * min(8, 1 << level) for level in range(levels + 1)]
        self.encoder = nn.ModuleList()
        for level in range(levels):
            self.encoder.append(_double_conv(channels if level == 0 else widths[level - 1], widths[level]))
        dim = widths[-1]
        self.embed = nn.Conv2d(widths[-2], dim, 2, 2)
        if depth:
            grid = [-(-side // self.multiple) for side in size]
            self.positions = nn.Parameter(torch.randn(1, grid[0] * grid[1], dim) * 0.02)
        self.transformer = nn.Sequential(*(TransformerBlock(dim, max(1, dim // 32)) for _ in range(depth)))
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(levels)):
            self.up.append(nn.ConvTranspose2d(widths[level + 1], widths[level], 2, 2))
            self.decoder.append(_double_conv(2 * widths[level], widths[level]))
        self.last: nn.Conv2d = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        x = F.pad(images, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        x = self.embed(x)
        if len(self.transformer):
            tokens = self.transformer(x.flatten(2).transpose(1, 2) + self.positions)
            x = x + tokens.transpose(1, 2).reshape(x.shape)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([up(x), skips.pop()], 1))
        out: Tensor = self.last(x)[:, :, :height, :width]
        return out


class MultiGranularityDiscriminator(nn.Module):
    """D_pd and D_cd (figure 7): true-or-false logits [B] of float images [B,C,H,W] in 0..1.

    The image is cut into 8x8, then 4x4, then 2x2 patches. The tokens of each granularity, concatenated with what
    the finer one found at the same place, pass transformer blocks and are average-pooled to the next grid; those of
    the last are averaged.

    Args:
        channels: C.
        size: (H, W).
        dim: features of a token.
        depth: transformer blocks per granularity.
        granularities: how many of the three grids are used, the finest first.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], dim: int = 64, depth: int = 1, granularities: int = 3
    ) -> None:
        super().__init__()
        self.multiple = 8
        padded = [-(-side // 8) * 8 for side in size]
        self.embed, self.positions, self.merge, self.blocks = (
            nn.ModuleList(),
            nn.ParameterList(),
            nn.ModuleList(),
            nn.ModuleList(),
        )
        for number, grid in enumerate((8, 4, 2)[:granularities]):
            patch = (padded[0] // grid, padded[1] // grid)
            self.embed.append(nn.Conv2d(channels, dim, patch, patch))
            self.positions.append(nn.Parameter(torch.randn(1, grid * grid, dim) * 0.02))
            self.merge.append(nn.Linear(2 * dim, dim) if number else nn.Identity())
            self.blocks.append(nn.Sequential(*(TransformerBlock(dim, max(1, dim // 32)) for _ in range(depth))))
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        images = F.pad(images, (0, -width % 8, 0, -height % 8), mode="replicate") - 0.5
        pooled: Tensor | None = None
        for embed, position, merge, blocks in zip(self.embed, self.positions, self.merge, self.blocks, strict=True):
            patches = embed(images)
            tokens = patches.flatten(2).transpose(1, 2) + position
            if pooled is not None:
                tokens = merge(torch.cat([tokens, pooled], 2))
            tokens = blocks(tokens)
            grid = tokens.transpose(1, 2).reshape(patches.shape)
            pooled = F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)
        assert pooled is not None
        out: Tensor = self.head(pooled.mean(1))[:, 0]
        return out


class Generator(nn.Module):
    """Image to image by a `ViTUNet`: float [B,C,H,W] in 0..1 to the same.

    Args:
        channels: C.
        size: (H, W).
        width, depth: of the network.
        extra: further input channels, given to `forward` as maps.
        residual: add a correction to the image, starting from almost none, instead of drawing it anew.
        positions: give the network two maps with the coordinates of each pixel.
    """

    coordinates: Tensor

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        width: int,
        depth: int,
        *,
        extra: int = 0,
        residual: bool = True,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.residual = residual
        rows, columns = (torch.linspace(-1, 1, side) for side in size)
        maps = torch.stack(torch.meshgrid(rows, columns, indexing="ij")) if positions else torch.empty(0, *size)
        self.register_buffer("coordinates", maps, persistent=False)
        self.network = ViTUNet(channels + extra + len(maps), channels, size, width, depth)
        if residual:
            # Not zero: from an exact identity, losses that favour the identity let nothing be learned.
            nn.init.normal_(self.network.last.weight, std=1e-3)
            assert self.network.last.bias is not None
            nn.init.zeros_(self.network.last.bias)

    def forward(self, images: Tensor, *maps: Tensor) -> Tensor:
        coordinates = self.coordinates.expand(len(images), -1, -1, -1)
        out = self.network(torch.cat([(images - 0.5) * 2, *maps, coordinates], 1)).float()
        return images + out if self.residual else torch.sigmoid(out)
