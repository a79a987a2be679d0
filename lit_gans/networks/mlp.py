"""Fully connected networks for samples of any shape, such as points in the plane."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn


def mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths with a ReLU between each two."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class MLPGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to samples ``(N, *sample_shape)``, unbounded.

    Args:
        latent_dim: length of a latent vector.
        sample_shape: of one sample, without N.
        hidden: widths of the hidden layers.
    """

    def __init__(self, latent_dim: int, sample_shape: Sequence[int], hidden: Sequence[int]) -> None:
        super().__init__()
        self.sample_shape = tuple(sample_shape)
        self.layers = mlp([latent_dim, *hidden, prod(sample_shape)])

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        samples: Tensor = self.layers(latent)
        return samples.view(-1, *self.sample_shape)


class MLPDiscriminator(nn.Module):
    """Samples ``(N, *sample_shape)`` to raw logits ``(N,)``.

    Args:
        sample_shape: of one sample, without N.
        hidden: widths of the hidden layers.
        input_scale: samples are multiplied by it first.
    """

    def __init__(self, sample_shape: Sequence[int], hidden: Sequence[int], input_scale: float = 1.0) -> None:
        super().__init__()
        self.input_scale = input_scale
        self.layers = mlp([prod(sample_shape), *hidden, 1])

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layers(self.input_scale * samples.flatten(1))
        return logits.flatten()
