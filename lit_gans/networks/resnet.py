"""Residual blocks of GANs (Gulrajani et al. 2017, arXiv 1704.00028, appendix; Miyato et al. 2018, arXiv 1802.05957)."""

import math
from typing import TypeVar

from torch import Tensor, nn

from lit_gans.layers.class_norm import ClassNorm

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def glorot(layer: Layer, gain: float = 1.0) -> Layer:
    """The layer with uniform weights of variance 2 gain^2 / (inputs + outputs) (Glorot & Bengio 2010), biases 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class SumPool(nn.Module):
    """The sum over height and width: ``(N, C, H, W)`` to ``(N, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


class ResidualBlock(nn.Module):
    """s(x) + f(x), f: norm, ReLU, 3x3 convolution, twice; s: a 1x1 convolution, or x itself where the shapes agree.

    Args:
        before: channels of the input.
        after: channels of the output.
        first_norm: of the input.
        second_norm: between the convolutions.
        resample: ``up`` doubles height and width (nearest, before the first convolution), ``down`` halves them (mean,
            after the second), ``none``.
        on_images: the input meets the first convolution as it is, without norm and ReLU, as images do.
    """

    def __init__(
        self,
        before: int,
        after: int,
        first_norm: ClassNorm,
        second_norm: ClassNorm,
        *,
        resample: str = "none",
        on_images: bool = False,
    ) -> None:
        super().__init__()
        self.first_norm, self.second_norm = first_norm, second_norm
        self.first_activation = nn.Identity() if on_images else nn.ReLU()
        self.activation = nn.ReLU()
        self.up = nn.Upsample(scale_factor=2) if resample == "up" else nn.Identity()
        self.down = nn.AvgPool2d(2) if resample == "down" else nn.Identity()
        self.first = glorot(nn.Conv2d(before, after, 3, 1, 1), math.sqrt(2))
        self.second = glorot(nn.Conv2d(after, after, 3, 1, 1), math.sqrt(2))
        plain = resample == "none" and before == after
        self.shortcut = nn.Identity() if plain else glorot(nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        first = self.first(self.up(self.first_activation(self.first_norm(x, label))))
        hidden: Tensor = self.down(self.second(self.activation(self.second_norm(first, label))))
        # A 1x1 convolution and a resampling commute: it is done where the map is small.
        shortcut: Tensor = self.up(self.shortcut(self.down(x)))
        return shortcut + hidden
