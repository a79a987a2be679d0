"""Fully connected networks for samples of any shape, such as points in the plane."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from lit_gans.networks.normalization import normalization


def hidden_layers(widths: Sequence[int], first_norm: str, norm: str) -> nn.Sequential:
    """Linear layers of these widths, each followed by a normalization and a ReLU."""
    layers: list[nn.Module] = []
    for position, (before, after) in enumerate(pairwise(widths)):
        own = normalization(norm if position else first_norm, after, spatial=False)
        layers += [nn.Linear(before, after), own, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def initialize(network: nn.Module, orthogonal_gain: float | None) -> None:
    """Weights orthogonal times a gain, biases 0; None keeps torch's own initial weights.

    Raises:
        ValueError: if the gain is not above 0.
    """
    if orthogonal_gain is None:
        return
    if orthogonal_gain <= 0:
        raise ValueError(f"orthogonal_gain must be above 0, or null for torch's own weights, got {orthogonal_gain}.")
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, orthogonal_gain)
            nn.init.zeros_(module.bias)


class MLPGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to samples ``(N, *sample_shape)``, unbounded.

    Args:
        latent_dim: length of a latent vector.
        sample_shape: of one sample, without N.
        hidden: widths of the hidden layers.
        norm: ``batch``, ``layer``, ``group`` or ``none``; not on the output.
    """

    def __init__(self, latent_dim: int, sample_shape: Sequence[int], hidden: Sequence[int], norm: str = "none") -> None:
        super().__init__()
        self.sample_shape = tuple(sample_shape)
        widths = [latent_dim, *hidden]
        self.hidden = hidden_layers(widths, norm, norm)
        self.output = nn.Linear(widths[-1], prod(sample_shape))

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        samples: Tensor = self.output(self.hidden(latent))
        return samples.view(-1, *self.sample_shape)


class MLPDiscriminator(nn.Module):
    """Samples ``(N, *sample_shape)`` to raw logits ``(N,)``.

    Args:
        sample_shape: of one sample, without N.
        hidden: widths of the hidden layers.
        norm: ``batch``, ``layer``, ``group`` or ``none``; not on the first layer.
        input_scale: samples are multiplied by it first.
    """

    def __init__(
        self, sample_shape: Sequence[int], hidden: Sequence[int], norm: str = "none", input_scale: float = 1.0
    ) -> None:
        super().__init__()
        self.input_scale = input_scale
        widths = [prod(sample_shape), *hidden]
        self.hidden = hidden_layers(widths, "none", norm)
        self.output = nn.Linear(widths[-1], 1)

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.output(self.hidden(self.input_scale * samples.flatten(1)))
        return logits.flatten()
