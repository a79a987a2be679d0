"""Channels of mean 0 and deviation 1, by numbers that are measured once and lie in the checkpoint."""

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """Images ``(N, C, H, W)`` in [-1, 1] to standardised ones, and back.

    Args:
        channels: C.
    """

    mean: Tensor
    deviation: Tensor
    measured: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("deviation", torch.ones(channels, 1, 1))
        self.register_buffer("measured", torch.tensor(False))

    @torch.no_grad()
    def measure(self, images: Tensor) -> None:
        """Sets mean and deviation of each channel to those of images ``(N, C, H, W)``."""
        self.mean.copy_(images.mean((0, 2, 3)).view_as(self.mean))
        self.deviation.copy_(images.std((0, 2, 3)).clamp_min(1e-3).view_as(self.deviation))
        self.measured.fill_(True)

    def forward(self, images: Tensor) -> Tensor:
        standardised: Tensor = (images - self.mean) / self.deviation
        return standardised

    def inverse(self, standardised: Tensor) -> Tensor:
        """Cut at -1 and 1."""
        images: Tensor = (standardised * self.deviation + self.mean).clamp(-1, 1)
        return images
