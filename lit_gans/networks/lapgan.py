"""The networks of LAPGAN (Denton et al. 2015, arXiv 1506.05751, section 4 and the authors' code).

Images are standardised, not bounded: no network ends in a tanh.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

SMALLEST = 9
"""Pixels that the discriminator of a level needs."""


class ClassPlane(nn.Module):
    """Labels ``(N,)`` to planes ``(N, 1, size, size)``: a linear layer of the one-hot label, rectified."""

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.num_classes, self.size = num_classes, size
        self.linear = nn.Linear(num_classes, size * size)

    def forward(self, label: Tensor) -> Tensor:
        planes = self.linear(one_hot(label, self.num_classes).to(self.linear.weight.dtype))
        return torch.relu(planes).view(-1, 1, self.size, self.size)


def label_of(condition: Tensor) -> Tensor:
    """The labels ``(N,)`` in a condition of :func:`join`."""
    return condition[:, -1, 0, 0].round().long()


def join(coarse: Tensor, label: Tensor | None) -> Tensor:
    """What conditions a level, as one tensor: the enlarged coarse images, and a plane that holds the label."""
    if label is None:
        return coarse
    return torch.cat([coarse, label.to(coarse).view(-1, 1, 1, 1).expand(-1, 1, *coarse.shape[2:])], 1)


class DifferenceGenerator(nn.Module):
    """Noise planes and enlarged coarse images to fine images, l + h(z, l): convolutions of 7, 7 and 5 pixels.

    Args:
        latent_dim: size * size, a plane.
        shape: (C, size, size), of a fine image.
        width: channels of both hidden layers.
        num_classes: 0 for no labels.
    """

    def __init__(self, latent_dim: int, shape: Sequence[int], width: int, num_classes: int = 0) -> None:
        super().__init__()
        image_channels, size, _ = shape
        if latent_dim != size * size:
            raise ValueError(f"The noise of images of {size} pixels is {size * size} numbers, not {latent_dim}.")
        self.size = size
        self.class_plane = ClassPlane(num_classes, size) if num_classes else None
        inputs = 1 + image_channels + bool(num_classes)
        self.hidden = nn.Sequential(
            nn.Conv2d(inputs, width, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 7, padding=3),
            nn.ReLU(inplace=True),
        )
        self.output = nn.Conv2d(width, image_channels, 5, padding=2)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Latents ``(N, size * size)`` and conditions of :func:`join` to images ``(N, C, size, size)``."""
        planes, coarse = [latent.view(-1, 1, self.size, self.size)], condition
        if self.class_plane is not None:
            planes.append(self.class_plane(label_of(condition)))
            coarse = condition[:, :-1]
        fine: Tensor = coarse + self.output(self.hidden(torch.cat([*planes, coarse], 1)))
        return fine


class LevelDiscriminator(nn.Module):
    """Fine images ``(N, C, size, size)``, which are coarse ones plus a difference, to raw logits ``(N,)``.

    Args:
        shape: (C, size, size), the size at least 9.
        width: channels of both hidden layers.
        num_classes: 0 for no labels.
        dropout: before the last layer.
    """

    def __init__(self, shape: Sequence[int], width: int, num_classes: int = 0, dropout: float = 0.5) -> None:
        super().__init__()
        image_channels, size, _ = shape
        self.class_plane = ClassPlane(num_classes, size) if num_classes else None
        self.hidden = nn.Sequential(
            nn.Conv2d(image_channels + bool(num_classes), width, 5),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 5, 2),
            nn.Flatten(),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        side = (size - 4 - 5) // 2 + 1
        self.output = nn.Linear(width * side * side, 1)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        if self.class_plane is not None and condition is not None:
            image = torch.cat([image, self.class_plane(label_of(condition))], 1)
        logits: Tensor = self.output(self.hidden(image))
        return logits.flatten()


class CoarsestGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to images: fully connected, rectified and then, in the authors' code, a sigmoid.

    Args:
        latent_dim: length of a latent vector.
        shape: of an image, without N.
        width: of both hidden layers.
        num_classes: 0 for no labels, else their one-hot form joins the latents.
    """

    def __init__(self, latent_dim: int, shape: Sequence[int], width: int, num_classes: int = 0) -> None:
        super().__init__()
        self.shape, self.num_classes = tuple(shape), num_classes
        self.hidden = nn.Sequential(
            nn.Linear(latent_dim + num_classes, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True) if num_classes else nn.Sigmoid(),
        )
        self.output = nn.Linear(width, prod(shape))
        self.apply(lambda module: _normal(module, 0.05))

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        images: Tensor = self.output(self.hidden(_with_label(latent, label, self.num_classes)))
        return images.view(-1, *self.shape)


class CoarsestDiscriminator(nn.Module):
    """Images to raw logits ``(N,)``: fully connected, with dropout.

    Args:
        shape: of an image, without N.
        width: of both hidden layers.
        num_classes: 0 for no labels, else their one-hot form joins the pixels.
        dropout: after both hidden layers.
    """

    def __init__(self, shape: Sequence[int], width: int, num_classes: int = 0, dropout: float = 0.5) -> None:
        super().__init__()
        self.num_classes = num_classes
        layers: list[nn.Module] = []
        for before in (prod(shape) + num_classes, width):
            layers += [nn.Linear(before, width), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(width, 1)
        self.apply(lambda module: _normal(module, 0.005))

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        logits: Tensor = self.output(self.hidden(_with_label(image.flatten(1), label, self.num_classes)))
        return logits.flatten()


class ConvolutionalGenerator(nn.Module):
    """Latents ``(N, latent_dim)`` to small images: half the size, then the whole, as in DCGAN but without its tanh.

    Args:
        latent_dim: length of a latent vector.
        shape: (C, size, size), of an image.
        width: channels at the whole size; twice as many at half of it.
        num_classes: 0 for no labels, else their one-hot form joins the latents.
    """

    def __init__(self, latent_dim: int, shape: Sequence[int], width: int, num_classes: int = 0) -> None:
        super().__init__()
        image_channels, size, _ = shape
        half, self.num_classes = -(-size // 2), num_classes
        self.hidden = nn.Sequential(
            nn.Linear(latent_dim + num_classes, 2 * width * half * half, bias=False),
            nn.Unflatten(1, (2 * width, half, half)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * width, width, 4 - size % 2, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.output = nn.Conv2d(width, image_channels, 3, padding=1)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        images: Tensor = self.output(self.hidden(_with_label(latent, label, self.num_classes)))
        return images


class ConvolutionalDiscriminator(nn.Module):
    """Small images to raw logits ``(N,)``: convolutions at the whole size and to half of it.

    Args:
        shape: (C, size, size), of an image.
        width: channels at the whole size; twice as many at half of it.
        num_classes: 0 for no labels, else a plane of :class:`ClassPlane` joins the image.
    """

    def __init__(self, shape: Sequence[int], width: int, num_classes: int = 0) -> None:
        super().__init__()
        image_channels, size, _ = shape
        self.class_plane = ClassPlane(num_classes, size) if num_classes else None
        self.hidden = nn.Sequential(
            nn.Conv2d(image_channels + bool(num_classes), width, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4 - size % 2, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
        )
        self.output = nn.Linear(2 * width * (-(-size // 2)) ** 2, 1)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        if self.class_plane is not None and label is not None:
            image = torch.cat([image, self.class_plane(label)], 1)
        logits: Tensor = self.output(self.hidden(image))
        return logits.flatten()


NETWORKS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "difference": (DifferenceGenerator, LevelDiscriminator),
    "fully_connected": (CoarsestGenerator, CoarsestDiscriminator),
    "convolutional": (ConvolutionalGenerator, ConvolutionalDiscriminator),
}
"""Generator and discriminator of a level; ``difference`` is for those above the coarsest."""
COARSEST = {"fully_connected": (1200, 600), "convolutional": (128, 64)}
"""Usual widths of generator and discriminator; those of fully connected networks are the paper's."""


def coarsest_widths(kind: str, generator: int | None, discriminator: int | None) -> tuple[int, int]:
    """Widths of both networks of the coarsest level, the usual ones for None.

    Raises:
        ValueError: if there are no such networks, or a width is below 1.
    """
    if kind not in COARSEST:
        raise ValueError(f"coarsest must be {' or '.join(COARSEST)}, got {kind!r}.")
    generator, discriminator = (
        usual if given is None else given
        for usual, given in zip(COARSEST[kind], (generator, discriminator), strict=True)
    )
    if min(generator, discriminator) < 1:
        raise ValueError(f"The coarsest level's widths must be at least 1, got {generator} and {discriminator}.")
    return generator, discriminator


def _with_label(x: Tensor, label: Tensor | None, num_classes: int) -> Tensor:
    return x if label is None else torch.cat([x, one_hot(label, num_classes).to(x.dtype)], 1)


def _normal(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, deviation)
        nn.init.zeros_(module.bias)
