"""The networks of Spectral Normalization for GANs (Miyato et al., ICLR 2018, arXiv 1802.05957), Tables 3 and 4.

Without spectral normalization, which a trick puts in. With classes, as in cGANs with Projection Discriminator (Miyato &
Koyama, ICLR 2018, arXiv 1802.05637): each has gains and biases of its own in the generator, and its inner product with
the features joins the discriminator's logit.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lit_gans.layers.class_norm import ClassNorm, required
from lit_gans.networks.normalization import normalization
from lit_gans.networks.resnet import ResidualBlock, SumPool, glorot


def first_side(image_size: int, image_channels: int, width: int, num_classes: int) -> int:
    """Height and width of the generator's first map, an eighth of the image's: 4 at 32 pixels, 6 at 48.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if image_size < 16 or image_size % 8:
        raise ValueError(f"SNGAN makes images of 16, 24, 32, 40, 48 … pixels, not {image_size}.")
    for name, value, least in (
        ("image_channels", image_channels, 1),
        ("width", width, 1),
        ("num_classes", num_classes, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
    return image_size // 8


def class_norm(norm: str, channels: int, num_classes: int) -> ClassNorm:
    """The normalization called ``norm``, with a gain and a bias for each class."""
    return ClassNorm(normalization(norm, channels, affine=num_classes == 0), channels, num_classes)


def initialize(module: nn.Module) -> None:
    """Weights N(0, 0.02^2), biases 0, for the convolutional networks; the paper names no initial weights."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class CNNGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images in [-1, 1]: linear, three 4x4 transposed convolutions, a 3x3 convolution.

    Args:
        latent_dim: length of a latent vector.
        image_size: a multiple of 8, at least 16.
        image_channels: 1 for grey images, 3 for colour.
        width: channels of the last hidden layer, 64 in the paper.
        norm: ``batch``, ``instance``, ``layer``, ``group``, ``virtual`` or ``none``; not on the output.
        num_classes: 0 for no condition; else ``forward`` takes labels ``(N,)`` in [0, num_classes).

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self, latent_dim: int, image_size: int, image_channels: int, width: int, norm: str, num_classes: int = 0
    ) -> None:
        super().__init__()
        side = first_side(image_size, image_channels, width, num_classes)
        widths, bias = [8 * width, 4 * width, 2 * width, width], norm == "none"
        self.first = nn.Sequential(
            nn.Linear(latent_dim, widths[0] * side**2, bias=bias), nn.Unflatten(1, (widths[0], side, side))
        )
        self.ups = nn.ModuleList(nn.ConvTranspose2d(*pair, 4, 2, 1, bias=bias) for pair in pairwise(widths))
        self.norms = nn.ModuleList(class_norm(norm, channels, num_classes) for channels in widths)
        self.activation = nn.ReLU(inplace=True)
        self.output = nn.Conv2d(width, image_channels, 3, 1, 1)
        self.apply(initialize)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        x = latent
        for layer, norm in zip([self.first, *self.ups], self.norms, strict=True):
            x = self.activation(norm(layer(x), label))
        return torch.tanh(self.output(x))


class ResNetGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images in [-1, 1]: linear, three residual blocks, a 3x3 convolution.

    Args:
        latent_dim: length of a latent vector.
        image_size: a multiple of 8, at least 16; 32 in the paper.
        image_channels: 1 for grey images, 3 for colour.
        width: a quarter of every layer's channels, 64 for the paper's 256.
        norm: as in :class:`CNNGenerator`.
        num_classes: likewise.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self, latent_dim: int, image_size: int, image_channels: int, width: int, norm: str, num_classes: int = 0
    ) -> None:
        super().__init__()
        side = first_side(image_size, image_channels, width, num_classes)
        channels = 4 * width

        def own_norm() -> ClassNorm:
            return class_norm(norm, channels, num_classes)

        self.first = nn.Sequential(
            glorot(nn.Linear(latent_dim, channels * side**2)), nn.Unflatten(1, (channels, side, side))
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(channels, channels, own_norm(), own_norm(), resample="up") for _ in range(3)
        )
        self.norm, self.activation = own_norm(), nn.ReLU()
        self.output = glorot(nn.Conv2d(channels, image_channels, 3, 1, 1))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.first(latent)
        for block in self.blocks:
            x = block(x, label)
        return torch.tanh(self.output(self.activation(self.norm(x, label))))


class Discriminator(nn.Module):
    """Images to raw logits ``(N,)``: w'h + b, h the features, plus v_y'h for class y (arXiv 1802.05637).

    Args:
        features: images to ``(N, channels)``.
        output: the last layer, ``(N, channels)`` to ``(N, 1)``.
        num_classes: 0 for no condition; else ``forward`` takes labels ``(N,)`` in [0, num_classes).
    """

    def __init__(self, features: nn.Module, output: nn.Linear, num_classes: int = 0) -> None:
        super().__init__()
        self.features, self.output, self.num_classes = features, output, num_classes
        if num_classes:
            self.classes = nn.Linear(num_classes, output.in_features, bias=False)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        features = self.features(image)
        logits: Tensor = self.output(features).flatten()
        if not self.num_classes:
            return logits
        label = one_hot(required(label, self.num_classes), self.num_classes).to(features.dtype)
        projection: Tensor = (self.classes(label) * features).sum(1)
        return logits + projection


def cnn_discriminator(
    image_size: int, image_channels: int, width: int, norm: str = "none", num_classes: int = 0
) -> Discriminator:
    """3x3 and 4x4 convolutions in turn, with strides 1 and 2 and leaky ReLU (0.1), then one linear layer (Table 3).

    Args:
        image_size: a multiple of 8, at least 16.
        image_channels: 1 for grey images, 3 for colour.
        width: channels of the first layer, 64 in the paper.
        norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``; not on the first layer.
        num_classes: as in :class:`Discriminator`.
    """
    side = first_side(image_size, image_channels, width, num_classes)
    layers: list[nn.Module] = []
    widths = [image_channels, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width]
    for position, (before, after) in enumerate(pairwise(widths)):
        kernel, stride = ((3, 1), (4, 2))[position % 2]
        convolution = nn.Conv2d(before, after, kernel, stride, 1, bias=norm == "none" or position == 0)
        layers += [convolution, normalization(norm if position else "none", after), nn.LeakyReLU(0.1, inplace=True)]
    features = nn.Sequential(*layers, nn.Flatten())
    return Discriminator(features, nn.Linear(8 * width * side**2, 1), num_classes).apply(initialize)


def resnet_discriminator(
    image_size: int, image_channels: int, width: int, norm: str = "none", num_classes: int = 0
) -> Discriminator:
    """Four residual blocks, of which two halve the image, ReLU, the sum over space, one linear layer (Table 4).

    Args:
        image_size: a multiple of 8, at least 16; 32 in the paper.
        image_channels: 1 for grey images, 3 for colour.
        width: half of every layer's channels, 64 for the paper's 128.
        norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``; not in the first block.
        num_classes: as in :class:`Discriminator`.
    """
    first_side(image_size, image_channels, width, num_classes)
    channels, resamples = 2 * width, ("down", "down", "none", "none")
    blocks = []
    for position, resample in enumerate(resamples):
        before, own = (channels, norm) if position else (image_channels, "none")
        norms = class_norm(own, before, 0), class_norm(own, channels, 0)
        blocks.append(ResidualBlock(before, channels, *norms, resample=resample, on_images=position == 0))
    features = nn.Sequential(*blocks, nn.ReLU(), SumPool())
    network = Discriminator(features, glorot(nn.Linear(channels, 1, bias=False)), num_classes)
    if num_classes:
        glorot(network.classes)
    return network
