"""Normalization with a gain and a bias for each class (Dumoulin et al. 2017, arXiv 1610.07629)."""

import torch
from torch import Tensor, nn


def required(label: Tensor | None, num_classes: int) -> Tensor:
    """The labels, which a conditional network cannot do without.

    Raises:
        ValueError: if there are none.
    """
    if label is None:
        raise ValueError(f"This network is conditional: give each sample a label in [0, {num_classes}).")
    return label


class ClassNorm(nn.Module):
    """A normalization of ``(N, channels, ...)``, then each sample's class decides gain and bias, at the start 1 and 0.

    Args:
        norm: without a gain and bias of its own, if there are classes.
        channels: of the input.
        num_classes: 0 for the normalization alone; else ``forward`` takes labels ``(N,)`` in [0, num_classes).
    """

    def __init__(self, norm: nn.Module, channels: int, num_classes: int = 0) -> None:
        super().__init__()
        self.norm, self.num_classes = norm, num_classes
        if num_classes:
            self.gain = nn.Parameter(torch.ones(num_classes, channels))
            self.bias = nn.Parameter(torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        normalized: Tensor = self.norm(x)
        if not self.num_classes:
            return normalized
        label = required(label, self.num_classes)
        shape = (*x.shape[:2], *[1] * (x.dim() - 2))
        return normalized * self.gain[label].view(shape) + self.bias[label].view(shape)
