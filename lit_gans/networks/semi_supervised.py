"""The networks of Improved Techniques for Training GANs (Salimans et al., NeurIPS 2016) for semi-supervised learning.

arXiv 1606.03498, as in its code: fully connected for MNIST, convolutional for CIFAR-10 and SVHN. Discriminators give a
logit for each of K real classes, the fake class's being 0. Their ``hidden`` gives the features that the generator
matches.
"""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_gans.layers.gaussian_noise import GaussianNoise
from lit_gans.layers.weight_norm import weight_norm

MLP_STD, CNN_STD = 0.1, 0.05
"""Of initial weights."""
PIXEL_NOISE, HIDDEN_NOISE = 0.3, 0.5
"""Of pixels in [0, 1], and of hidden layers, in the fully connected discriminator."""


def without_gain(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    """The batch norm with biases alone."""
    norm.weight.requires_grad_(False)
    return norm


def wide(x: Tensor) -> Tensor:
    """At least float32: half a float takes the pixel of a logit of 6 for 1, and 1 has no gradient."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class MLPGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]: two softplus layers, a sigmoid.

    Args:
        latent_dim: length of a latent vector.
        shape: (C, H, W).
        width: of the hidden layers, 500 in the paper's code.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = []
        for before in (latent_dim, width):
            linear = nn.Linear(before, width, bias=False)
            nn.init.xavier_uniform_(linear.weight)
            layers += [linear, without_gain(nn.BatchNorm1d(width)), nn.Softplus()]
        self.hidden = nn.Sequential(*layers)
        glorot = (2 / (width + prod(shape))) ** 0.5
        self.output = weight_norm(nn.Linear(width, prod(shape)), std=glorot, learn_scale=True)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        pixels = wide(self.output(self.hidden(latent))).sigmoid()
        return (2 * pixels - 1).view(-1, *self.shape)


class MLPDiscriminator(nn.Module):
    """Images ``(N, C, H, W)`` to raw logits ``(N, K)``: five ReLU layers with Gaussian noise before each.

    Args:
        shape: (C, H, W).
        width: of the first layer, 1000 in the paper's code; then a half, and three quarters of it.
        num_classes: K.
    """

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int) -> None:
        super().__init__()
        widths = [prod(shape), width, *(max(1, width // part) for part in (2, 4, 4, 4))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            noise = GaussianNoise(HIDDEN_NOISE if layers else PIXEL_NOISE)
            layers += [noise, weight_norm(nn.Linear(before, after), std=MLP_STD, learn_scale=False), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.noise = GaussianNoise(HIDDEN_NOISE)
        self.output = weight_norm(nn.Linear(widths[-1], num_classes), std=MLP_STD, learn_scale=True)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.output(self.noise(self.hidden((image.flatten(1) + 1) / 2)))
        return logits


class CNNGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]: linear, three transposed 5x5 convolutions.

    Args:
        latent_dim: length of a latent vector.
        shape: (C, H, W), H = W a multiple of 8.
        width: channels of the first map, 512 in the paper's code; then a half and a quarter.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        channels, side = shape[0], shape[1] // 8
        widths = [width, max(1, width // 2), max(1, width // 4)]
        first = nn.Linear(latent_dim, width * side**2, bias=False)
        layers: list[nn.Module] = [first, without_gain(nn.BatchNorm1d(width * side**2)), nn.ReLU()]
        layers.append(nn.Unflatten(1, (width, side, side)))
        for before, after in pairwise(widths):
            up = nn.ConvTranspose2d(before, after, 5, 2, 2, output_padding=1, bias=False)
            layers += [up, without_gain(nn.BatchNorm2d(after)), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        last = nn.ConvTranspose2d(widths[-1], channels, 5, 2, 2, output_padding=1)
        self.output = weight_norm(last, std=CNN_STD, learn_scale=True)
        for layer in self.hidden:
            if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, CNN_STD)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        return wide(self.output(self.hidden(latent))).tanh()


class CNNDiscriminator(nn.Module):
    """Images ``(N, C, H, W)`` to raw logits ``(N, K)``: nine convolutions, the mean over space, a linear layer.

    Args:
        shape: (C, H, W).
        width: channels of the first three convolutions, 96 in the paper's code for CIFAR-10, 64 for SVHN; then twice.
        num_classes: K.
    """

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(0.2)]
        before = shape[0]
        for after, last in ((width, (3, 2, 1)), (2 * width, (3, 2, 1)), (2 * width, None)):
            shapes = [(3, 1, 1), (3, 1, 1), last] if last else [(3, 1, 0), (1, 1, 0), (1, 1, 0)]
            for size, stride, padding in shapes:
                own = nn.Conv2d(before, after, size, stride, padding)
                layers += [weight_norm(own, std=CNN_STD, learn_scale=False), nn.LeakyReLU(0.2)]
                before = after
            layers += [nn.Dropout(0.5)] if last else []
        self.hidden = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.output = weight_norm(nn.Linear(before, num_classes), std=CNN_STD, learn_scale=True)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.output(self.hidden(image))
        return logits


class Pair(NamedTuple):
    """Networks that belong together.

    Attributes:
        generator: from the length of a latent vector, (C, H, W) and a width.
        discriminator: from (C, H, W), a width and the number of classes.
        widths: of both in the paper's code.
        generator_std: of the generator's outputs, before they are bounded, once it is initialised by data; None where
            it is not.
    """

    generator: Callable[[int, tuple[int, ...], int], nn.Module]
    discriminator: Callable[[tuple[int, ...], int, int], nn.Module]
    widths: tuple[int, int]
    generator_std: float | None


NETWORKS = {
    "mlp": Pair(MLPGenerator, MLPDiscriminator, (500, 1000), None),
    "cnn": Pair(CNNGenerator, CNNDiscriminator, (512, 96), 0.1),
}
