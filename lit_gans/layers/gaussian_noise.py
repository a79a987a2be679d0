"""Noise on what a layer sees, as regularization."""

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """x + N(0, sigma^2) in training mode, x in eval mode.

    Args:
        sigma: standard deviation, in the units of x.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, torch.randn_like(x), alpha=self.sigma) if self.training else x
