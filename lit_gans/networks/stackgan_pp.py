"""The networks of StackGAN++ (Zhang et al., TPAMI 2018, arXiv 1710.10916), as in the authors' code.

The generator is a tree: each branch makes a map out of the map before it, and an image out of its own.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lit_gans.networks.normalization import normalization
from lit_gans.networks.stackgan import LEAST, convolution, halvings


def sizes_of(image_size: int, scales: int | None) -> list[int]:
    """Pixels of the images of each branch, the smallest first, each half the next; of three if ``scales`` is None."""
    return [image_size >> k for k in reversed(range(min(3, halvings(image_size)) if scales is None else scales))]


def check(image_size: int, scales: int | None, options: Mapping[str, Any]) -> None:
    """Refuses sizes and options of a StackGAN++ that there are no networks for.

    Raises:
        ValueError: if there are none.
    """
    steps = halvings(image_size)
    if scales is not None and not 1 <= scales <= steps:
        raise ValueError(f"An image of {image_size} pixels has 1 to {steps} scale(s), the least of 8, not {scales}.")
    for name in ("generator_width", "discriminator_width", "latent_dim", "c_dim"):
        if options[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {options[name]}.")
    for name in ("residual_blocks", "kl_weight", "unconditional_weight", "colour_weight"):
        if options[name] < 0:
            raise ValueError(f"{name} must be at least 0, got {options[name]}.")


def begin(module: nn.Module) -> None:
    """Orthogonal weights; gains N(1, 0.02^2), biases 0."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def gated(before: int, after: int, norm: str) -> nn.Module:
    """Convolution and normalization to twice the channels, one half of which gates the other (GLU)."""
    return convolution(before, 2 * after, 3, norm, nn.GLU(1))


def upward(before: int, norm: str) -> nn.Module:
    """Twice the side, half the channels."""
    return nn.Sequential(nn.Upsample(scale_factor=2), gated(before, max(1, before // 2), norm))


class Residual(nn.Module):
    """x + f(x), f of two convolutions, the first one gated."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(gated(channels, channels, norm), convolution(channels, channels, 3, norm))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x)
        return result


class Branch(nn.Module):
    """What comes before it, and c ``(N, dim)``, to a map ``(N, channels, size, size)`` and an image in [-1, 1].

    The first branch has latents ``(N, noise)`` before it, the others a map at half their size.

    Args:
        shape: (C, size, size).
        before: channels of the map before it; None for the first branch.
        width: channels of the first branch's map.
        noise: length of the first branch's latents.
        dim: length of c.
        blocks: residual ones, in the others.
        norm: as of :func:`lit_gans.networks.normalization.normalization`.

    Attributes:
        channels: of its map.
    """

    def __init__(
        self, shape: Sequence[int], *, before: int | None, width: int, noise: int, dim: int, blocks: int, norm: str
    ) -> None:
        super().__init__()
        image_channels, size, _ = shape
        layers: list[nn.Module]
        if before is None:
            steps = halvings(size)
            first, self.channels = width << steps, width
            units = 2 * first * LEAST**2
            layers = [nn.Linear(noise + dim, units, bias=norm == "none")]
            layers += [normalization(norm, units, spatial=False)] if norm == "batch" else []
            layers += [nn.Unflatten(1, (2 * first, LEAST, LEAST))]
            layers += [normalization(norm, 2 * first)] if norm != "batch" else []
            layers += [nn.GLU(1), *(upward(first >> k, norm) for k in range(steps))]
        else:
            self.channels = max(1, before // 2)
            layers = [gated(before + dim, before, norm), *(Residual(before, norm) for _ in range(blocks))]
            layers += [upward(before, norm)]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Sequential(nn.Conv2d(self.channels, image_channels, 3, padding=1, bias=False), nn.Tanh())
        self.apply(begin)

    def forward(self, before: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        tiled = c[:, :, None, None].expand(-1, -1, *before.shape[2:]) if before.dim() == 4 else c
        hidden = self.hidden(torch.cat([before, tiled], 1))
        return hidden, self.output(hidden)


class ScaleDiscriminator(nn.Module):
    """Images ``(N, C, size, size)`` and conditions ``(N, dim)`` to raw logits ``(N, H)``.

    The first is of image and condition, the second, where H is 2, of the image alone.

    Args:
        shape: (C, size, size).
        width: df, channels after the first convolution.
        norm: as of :func:`lit_gans.networks.normalization.normalization`; not after the first.
        dim: length of a condition.
        unconditional: whether H is 2.
    """

    def __init__(self, shape: Sequence[int], width: int, norm: str, dim: int, *, unconditional: bool) -> None:
        super().__init__()
        image_channels, size, _ = shape
        steps, leaky = halvings(size), nn.LeakyReLU(0.2)
        widths = [width << k for k in range(steps)]
        final = width << min(steps - 1, 3)
        layers = [convolution(image_channels, width, 4, "none", leaky, stride=2)]
        layers += [convolution(before, after, 4, norm, leaky, stride=2) for before, after in pairwise(widths)]
        while widths[-1] > final:
            widths.append(widths[-1] // 2)
            layers.append(convolution(widths[-2], widths[-1], 3, norm, leaky))
        self.image = nn.Sequential(*layers)
        self.hidden = convolution(final + dim, final, 3, norm, leaky)
        self.output = nn.Conv2d(final, 1, LEAST)
        self.unconditional = nn.Conv2d(final, 1, LEAST) if unconditional else None
        self.apply(begin)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        maps = self.image(image)
        tiled = condition[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        logits = [self.output(self.hidden(torch.cat([maps, tiled], 1))).flatten(1)]
        if self.unconditional is not None:
            logits.append(self.unconditional(maps).flatten(1))
        return torch.cat(logits, 1)
