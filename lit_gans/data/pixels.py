"""Pixels from one size, or number of channels, to another."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(images: Tensor, size: int) -> Tensor:
    """Bicubic, antialiased where it shrinks.

    Args:
        images: ``(N, C, H, W)``, any type, in [0, 255].
        size: pixels of a side of what comes out.

    Returns:
        ``(N, C, size, size)`` uint8.
    """
    images = F.interpolate(images.float(), (size, size), mode="bicubic", antialias=True)
    return images.round_().clamp_(0, 255).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """The luma of RGB images ``(N, 3, H, W)`` uint8, ``(N, 1, H, W)`` (ITU-R BT.601, rounded as Pillow does)."""
    red, green, blue = images.int().unbind(1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000).bitwise_right_shift(16).to(torch.uint8)[:, None]


def fit(images: Tensor, size: int, channels: int) -> Tensor:
    """Square images ``(N, 1 or 3, H, H)`` uint8 as ``(N, channels, size, size)``; untouched where they fit already."""
    if images.shape[1] == 3 and channels == 1:
        images = grey(images)
    if images.shape[-1] != size:
        images = resize(images, size)
    return images.expand(-1, channels, -1, -1).contiguous()
