"""The networks of DCGAN (Radford, Metz, Chintala 2015, arXiv 1511.06434), in the 4x4-kernel form known from PyTorch.

At 64 pixels and width 64 they have exactly the layers of that form; at 16 and 32 pixels one or two of the narrow
stages are left out, at 128 one is added on top.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lit_gans.networks.normalization import normalization

IMAGE_SIZES = (16, 32, 64, 128)


def stage_widths(image_size: int, width: int) -> list[int]:
    """Channels of the feature maps from 4x4 upwards: 8, 4, 2, 1 times ``width`` at 64 pixels.

    Raises:
        ValueError: if the network has no form for this size.
    """
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"DCGAN makes images of {', '.join(map(str, IMAGE_SIZES))} pixels, not {image_size}.")
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}.")
    stages = image_size.bit_length() - 3
    return [width * 2 ** (max(stages, 4) - 1 - stage) for stage in range(stages)]


def _check(image_channels: int, num_classes: int) -> None:
    if image_channels < 1:
        raise ValueError(f"image_channels must be at least 1, got {image_channels}.")
    if num_classes < 0:
        raise ValueError(f"num_classes must be at least 0, got {num_classes}.")


def initialize(module: nn.Module) -> None:
    """Convolutions N(0, 0.02^2); normalization gains N(1, 0.02^2), biases 0 (arXiv 1511.06434, section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _with_label(x: Tensor, label: Tensor | None, num_classes: int) -> Tensor:
    """Appends one plane a class: one-hot labels join every layer, as in the paper's conditional MNIST networks."""
    if num_classes == 0:
        return x
    if label is None:
        raise ValueError(f"This network is conditional: give each sample a label in [0, {num_classes}).")
    planes = one_hot(label, num_classes).to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], 1)


class DCGANGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images ``(N, image_channels, image_size, image_size)`` in [-1, 1].

    Args:
        latent_dim: length of a latent vector.
        image_size: 16, 32, 64 or 128 pixels.
        image_channels: 1 for grey images, 3 for colour.
        width: channels of the last hidden layer at 64 pixels.
        norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``; not on the output.
        num_classes: 0 for no condition; else ``forward`` takes labels ``(N,)`` in [0, num_classes).

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self, latent_dim: int, image_size: int, image_channels: int, width: int, norm: str, num_classes: int = 0
    ) -> None:
        super().__init__()
        _check(image_channels, num_classes)
        widths = stage_widths(image_size, width)
        self.num_classes = num_classes
        self.stages = nn.ModuleList(self._stages(latent_dim, widths, norm))
        self.output = nn.ConvTranspose2d(widths[-1] + num_classes, image_channels, 4, 2, 1, bias=False)
        self.apply(initialize)

    def _stages(self, latent_dim: int, widths: list[int], norm: str) -> Iterator[nn.Module]:
        for stage, (before, after) in enumerate(pairwise([latent_dim, *widths])):
            stride, padding = (1, 0) if stage == 0 else (2, 1)
            up = nn.ConvTranspose2d(before + self.num_classes, after, 4, stride, padding, bias=norm == "none")
            yield nn.Sequential(up, normalization(norm, after), nn.ReLU(inplace=True))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        x = latent[:, :, None, None]
        for stage in self.stages:
            x = stage(_with_label(x, label, self.num_classes))
        return torch.tanh(self.output(_with_label(x, label, self.num_classes)))


class DCGANDiscriminator(nn.Module):
    """Images ``(N, image_channels, image_size, image_size)`` to raw logits ``(N,)``.

    Args:
        image_size: 16, 32, 64 or 128 pixels.
        image_channels: 1 for grey images, 3 for colour.
        width: channels of the first layer at 64 pixels.
        norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``; not on the input layer.
        num_classes: 0 for no condition; else ``forward`` takes labels ``(N,)`` in [0, num_classes).

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, image_size: int, image_channels: int, width: int, norm: str, num_classes: int = 0) -> None:
        super().__init__()
        _check(image_channels, num_classes)
        widths = stage_widths(image_size, width)[::-1]
        self.num_classes = num_classes
        self.stages = nn.ModuleList(self._stages([image_channels, *widths], norm))
        self.output = nn.Conv2d(widths[-1] + num_classes, 1, 4, 1, 0, bias=False)
        self.apply(initialize)

    def _stages(self, widths: list[int], norm: str) -> Iterator[nn.Module]:
        for stage, (before, after) in enumerate(pairwise(widths)):
            own = "none" if stage == 0 else norm
            down = nn.Conv2d(before + self.num_classes, after, 4, 2, 1, bias=norm == "none")
            yield nn.Sequential(down, normalization(own, after), nn.LeakyReLU(0.2, inplace=True))

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        x = image
        for stage in self.stages:
            x = stage(_with_label(x, label, self.num_classes))
        logits: Tensor = self.output(_with_label(x, label, self.num_classes))
        return logits.flatten()
