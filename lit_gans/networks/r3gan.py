"""The networks of R3GAN (Huang, Gokaslan, Kuleshov, Tompkin, NeurIPS 2024, arXiv 2501.05441, section 3), from its text.

Residual networks without normalization: at each resolution a transition and a few residual blocks, in the generator
from 4x4 upwards, in the discriminator the other way round.
"""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

SLOPE = 0.2


def stage_widths(image_size: int, width: int, max_width: int) -> list[int]:
    """Channels from 4x4 upwards: ``width`` at the image's resolution, twice as many at each half of it, bounded.

    Raises:
        ValueError: if the network has no form for this size.
    """
    if image_size not in (16, 32, 64, 128, 256):
        raise ValueError(f"R3GAN makes images of 16, 32, 64, 128, 256 pixels, not {image_size}.")
    if not 1 <= width <= max_width:
        raise ValueError(f"width must be at least 1 and at most max_width={max_width}, got {width}.")
    stages = image_size.bit_length() - 2
    return [min(max_width, width * 2 ** (stages - 1 - stage)) for stage in range(stages)]


def check_sizes(**sizes: int) -> None:
    """Makes sure that the sizes of a network's blocks are possible.

    Raises:
        ValueError: if one is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}.")


class Resample(nn.Module):
    """Twice or half the height and width, through the kernel [1, 2, 1] in each direction, with zeros outside.

    One is the adjoint of the other, but for a factor 4: inside the image both keep a constant.

    Args:
        channels: of the maps ``(N, channels, H, W)``.
        up: twice, or half if false.
    """

    kernel: Tensor

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        self.up, self.channels = up, channels
        kernel = torch.outer(line, line).expand(channels, 1, 3, 3) / (4 if up else 16)
        self.register_buffer("kernel", kernel.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            return conv_transpose2d(x, self.kernel, stride=2, padding=1, output_padding=1, groups=self.channels)
        return conv2d(x, self.kernel, stride=2, padding=1, groups=self.channels)


class Residual(nn.Module):
    """x + f(x), f: 1x1 convolution to ``expansion`` times the channels, 3x3 in groups, 1x1 back, leaky ReLUs between.

    As in fix-up initialization (Zhang et al. 2019, arXiv 1901.09321) f begins as 0, its last convolution has no bias,
    and the others are scaled by L^(-1/4), L the residual blocks of the network.

    Args:
        channels: of the maps ``(N, channels, H, W)``.
        group_width: channels in a group, as near as the number of channels allows.
        expansion: of the channels within.
        depth: L.
    """

    def __init__(self, channels: int, group_width: int, expansion: int, depth: int) -> None:
        super().__init__()
        inner = channels * expansion
        cardinality = gcd(inner, max(1, inner // group_width))
        widen = nn.Conv2d(channels, inner, 1)
        mix = nn.Conv2d(inner, inner, 3, padding=1, groups=cardinality)
        narrow = nn.Conv2d(inner, channels, 1, bias=False)
        for convolution in (widen, mix):
            initialize(convolution, SLOPE, depth**-0.25)
        nn.init.zeros_(narrow.weight)
        self.branch = nn.Sequential(
            widen, nn.LeakyReLU(SLOPE, inplace=True), mix, nn.LeakyReLU(SLOPE, inplace=True), narrow
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.branch(x)
        return x + residual


def initialize(layer: nn.Conv2d | nn.Linear, slope: float = 1.0, scale: float = 1.0) -> None:
    """Weights that keep the variance through the layer and a leaky ReLU of this slope, times a scale; biases 0."""
    nn.init.kaiming_normal_(layer.weight, slope, nonlinearity="leaky_relu")
    with torch.no_grad():
        layer.weight *= scale
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _pointwise(before: int, after: int) -> list[nn.Module]:
    """A 1x1 convolution between stages of different width."""
    if before == after:
        return []
    convolution = nn.Conv2d(before, after, 1, bias=False)
    initialize(convolution)
    return [convolution]


class R3GANGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images ``(N, image_channels, H, W)``, H = W = 4 * 2^(stages - 1), unbounded.

    Args:
        latent_dim: length of a latent vector.
        image_channels: 1 for grey images, 3 for colour.
        widths: channels of each stage, that of 4x4 first.
        group_width: channels in a group of the 3x3 convolutions.
        blocks: residual blocks of a stage.
        expansion: of the channels within a block.
    """

    def __init__(
        self,
        latent_dim: int,
        image_channels: int,
        widths: Sequence[int],
        group_width: int = 16,
        blocks: int = 2,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(image_channels=image_channels, group_width=group_width, blocks=blocks, expansion=expansion)
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.modulation = nn.Linear(latent_dim, widths[0], bias=False)
        stages: list[nn.Module] = []
        for before, width in zip([0, *widths], widths, strict=False):
            transition = [*_pointwise(before, width), Resample(width, up=True)] if before else []
            residuals = [Residual(width, group_width, expansion, blocks * len(widths)) for _ in range(blocks)]
            stages.append(nn.Sequential(*transition, *residuals))
        self.stages = nn.Sequential(*stages)
        self.output = nn.Conv2d(widths[-1], image_channels, 1)
        initialize(self.modulation)
        initialize(self.output)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        images: Tensor = self.output(self.stages(self.basis * self.modulation(latent)[:, :, None, None]))
        return images


class R3GANDiscriminator(nn.Module):
    """Images ``(N, image_channels, H, W)``, H = W = 4 * 2^(stages - 1), to raw logits ``(N,)``.

    Args:
        image_channels: 1 for grey images, 3 for colour.
        widths: channels of each stage, that of 4x4 first.
        group_width: channels in a group of the 3x3 convolutions.
        blocks: residual blocks of a stage.
        expansion: of the channels within a block.
    """

    def __init__(
        self, image_channels: int, widths: Sequence[int], group_width: int = 16, blocks: int = 2, expansion: int = 2
    ) -> None:
        super().__init__()
        widths = widths[::-1]
        self.input = nn.Conv2d(image_channels, widths[0], 1)
        stages: list[nn.Module] = []
        for width, after in zip(widths, [*widths[1:], 0], strict=True):
            residuals = [Residual(width, group_width, expansion, blocks * len(widths)) for _ in range(blocks)]
            transition = [Resample(width, up=False), *_pointwise(width, after)] if after else []
            stages.append(nn.Sequential(*residuals, *transition))
        self.stages = nn.Sequential(*stages)
        self.summary = nn.Conv2d(widths[-1], widths[-1], 4, groups=widths[-1], bias=False)
        self.output = nn.Linear(widths[-1], 1)
        for layer in (self.input, self.summary, self.output):
            initialize(layer)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.output(self.summary(self.stages(self.input(image))).flatten(1))
        return logits.flatten()
