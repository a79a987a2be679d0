"""The networks of StackGAN (Zhang et al., ICCV 2017, arXiv 1612.03242), in the two forms of the authors' code.

``simple`` is convolutions alone; ``default``, which the paper's results are of, has residual blocks and enlarges by the
nearest pixel. What conditions Stage-I is an embedding of a text ``(N, E)``; what conditions Stage-II is the small image
and the embedding, joined by :func:`join`. The embedding stands last in both: all that a discriminator looks at.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lit_gans.layers.conditioning_augmentation import ConditioningAugmentation
from lit_gans.networks.dcgan import initialize
from lit_gans.networks.normalization import normalization

KINDS, TEXT_HEADS = ("simple", "default"), ("concat", "projection")
LEAST = 4  # pixels of the smallest map
BOUND = 0.99  # of a pixel that something is added to before it is bounded: at 1 no gradient would be left
LEASTS = {  # of options that are numbers
    **dict.fromkeys(("generator_width", "discriminator_width", "latent_dim", "c_dim"), 1),
    **dict.fromkeys(("residual_blocks", "kl_weight", "coarse_weight", "wrong_texts", "matching_weight"), 0),
}


def join(coarse: Tensor, text: Tensor) -> Tensor:
    """What conditions Stage-II, as one tensor ``(N, C * size^2 + E)``."""
    return torch.cat([coarse.flatten(1), text], 1)


def split(condition: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The small image of ``shape`` (C, size, size), and the embedding, of what :func:`join` made of them."""
    pixels = math.prod(shape)
    return condition[:, :pixels].view(-1, *shape), condition[:, pixels:]


def halvings(size: int) -> int:
    """How often the side of an image is halved down to 4 pixels.

    Raises:
        ValueError: if it cannot be.
    """
    steps = size.bit_length() - LEAST.bit_length()
    if steps < 1 or size != LEAST << steps:
        raise ValueError(f"StackGAN's images have 8, 16, 32, 64, 128 … pixels, not {size}.")
    return steps


def check(sizes: tuple[int, int], *stages: Mapping[str, Any]) -> None:
    """Refuses sizes and options of a StackGAN's stages that there are no networks for.

    Raises:
        ValueError: if there are none.
    """
    fine, coarse = halvings(sizes[1]), halvings(sizes[0])
    if coarse >= fine:
        raise ValueError(f"Stage-I's images must be smaller than Stage-II's {sizes[1]} pixels, got {sizes[0]}.")
    for options in stages:
        check_options(options)


def check_options(options: Mapping[str, Any]) -> None:
    """Refuses a stage's options that there are no networks for, with a ValueError."""
    for name, names in (("network", KINDS), ("text_head", TEXT_HEADS)):
        if options[name] not in names:
            raise ValueError(f"{name} must be {' or '.join(names)}, got {options[name]!r}.")
    for name, least in LEASTS.items():
        if options[name] < least:
            raise ValueError(f"{name} must be at least {least}, got {options[name]}.")
    if not 0 <= options["wrong_weight"] <= 1:
        raise ValueError(f"wrong_weight must be in [0, 1], got {options['wrong_weight']}.")
    if options["matching_weight"] and not options["wrong_texts"]:
        raise ValueError("matching_weight is of how a text compares with wrong ones: set model.wrong_texts=8, say.")


def convolution(before: int, after: int, size: int, norm: str, *activation: nn.Module, stride: int = 1) -> nn.Module:
    """Convolution, normalization and, if there is one, an activation; at stride 2 it halves the side."""
    layer = nn.Conv2d(before, after, size, stride, (size - 1) // 2, bias=norm == "none")
    return nn.Sequential(layer, normalization(norm, after), *activation)


def enlarging(kind: str, before: int, after: int, norm: str, *activation: nn.Module) -> nn.Module:
    """Twice the side: a transposed convolution, or the nearest pixel and a convolution."""
    if kind == "simple":
        up = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=norm == "none")
        return nn.Sequential(up, normalization(norm, after), *activation)
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution(before, after, 3, norm, *activation))


class Residual(nn.Module):
    """Act(x + f(x)).

    Args:
        widths: channels of x and after each convolution of f; the last are those of x.
        sizes: of the convolutions.
        norm: after each.
        activation: after each but the last, and after the sum.
    """

    def __init__(self, widths: Sequence[int], sizes: Sequence[int], norm: str, activation: nn.Module) -> None:
        super().__init__()
        last = len(sizes) - 1
        self.body = nn.Sequential(
            *(
                convolution(before, after, size, norm, *([] if k == last else [activation]))
                for k, (size, (before, after)) in enumerate(zip(sizes, pairwise(widths), strict=True))
            )
        )
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(x + self.body(x))
        return result


def bottleneck(channels: int, norm: str, activation: nn.Module) -> nn.Module:
    """Convolutions of 1, 3 and 3 pixels, through a quarter of the channels."""
    narrow = max(1, channels // 4)
    return Residual([channels, narrow, narrow, channels], [1, 3, 3], norm, activation)


def begin(module: nn.Module) -> None:
    """Weights as in DCGAN; linear layers N(0, 0.02^2), biases 0."""
    initialize(module)
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Stage1Generator(nn.Module):
    """Latents ``(N, noise + dim of c)`` and embeddings ``(N, E)`` to images ``(N, C, size, size)`` in [-1, 1].

    Args:
        shape: (C, size, size).
        width: gf, channels of the last hidden map; 8 times as many at 4 pixels where the image has 64.
        kind: ``simple`` or ``default``.
        norm: as of :func:`lit_gans.networks.normalization.normalization`.
        noise: length of z.
        augmentation: makes c.
    """

    def __init__(
        self,
        shape: Sequence[int],
        width: int,
        kind: str,
        norm: str,
        noise: int,
        augmentation: ConditioningAugmentation,
    ) -> None:
        super().__init__()
        image_channels, size, _ = shape
        steps = halvings(size)
        widths = [width * 2 ** (steps - 1 - k) for k in range(steps)]
        self.noise, self.augmentation = noise, augmentation
        units = widths[0] * LEAST**2
        first = nn.Linear(noise + augmentation.dim, units, bias=norm == "none")
        flat = [normalization(norm, units, spatial=False)] if norm == "batch" else []
        own = [] if flat else [normalization(norm, widths[0])]
        layers: list[nn.Module] = [first, *flat, nn.Unflatten(1, (widths[0], LEAST, LEAST)), *own]
        residual = 2 if kind == "default" else 0
        for k, before in enumerate(widths):
            layers.append(bottleneck(before, norm, nn.ReLU()) if k < residual else nn.ReLU(inplace=True))
            layers += [enlarging(kind, before, after, norm) for after in widths[k + 1 : k + 2]]
        self.hidden = nn.Sequential(*layers)
        self.output = last_layer(kind, widths[-1], image_channels)
        self.apply(begin)

    def forward(self, latent: Tensor, text: Tensor) -> Tensor:
        c = self.augmentation(text, latent[:, self.noise :])
        images: Tensor = self.output(self.hidden(torch.cat([c, latent[:, : self.noise]], 1)))
        return images


def last_layer(kind: str, before: int, image_channels: int) -> nn.Module:
    """Twice the side, in pixels in [-1, 1]."""
    if kind == "simple":
        return nn.Sequential(nn.ConvTranspose2d(before, image_channels, 4, 2, 1), nn.Tanh())
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(before, image_channels, 3, padding=1), nn.Tanh())


class Stage2Generator(nn.Module):
    """Conditions ``(N, C * coarse^2 + E)`` and latents ``(N, dim of c)`` to images ``(N, C, size, size)`` in [-1, 1].

    Args:
        shape: (C, size, size).
        coarse: pixels of the small image.
        width: gf.
        blocks: residual ones.
        norm: as of :func:`lit_gans.networks.normalization.normalization`.
        augmentation: makes c.
        skip: add what it makes, nothing at first, to the small image, enlarged, before both are bounded. Its last two
            layers see that image: the small maps do not pass on exactly where an edge is that is to be sharpened.
    """

    def __init__(
        self,
        shape: Sequence[int],
        coarse: int,
        width: int,
        blocks: int,
        norm: str,
        augmentation: ConditioningAugmentation,
        *,
        skip: bool = False,
    ) -> None:
        super().__init__()
        image_channels, size, _ = shape
        self.coarse_shape, self.size, self.augmentation = (image_channels, coarse, coarse), size, augmentation
        relu = nn.ReLU(inplace=True)
        self.encoder = nn.Sequential(
            convolution(image_channels, width, 3, "none", relu),
            convolution(width, 2 * width, 4, norm, relu, stride=2),
            convolution(2 * width, 4 * width, 4, norm, relu, stride=2),
        )
        widths = [max(1, 4 * width >> k) for k in range(halvings(size) - halvings(coarse) + 3)]
        layers = [convolution(4 * width + augmentation.dim, 4 * width, 3, norm, relu)]
        layers += [Residual([4 * width] * 3, [3, 3], norm, nn.ReLU()) for _ in range(blocks)]
        layers += [enlarging("default", before, after, norm, relu) for before, after in pairwise(widths)]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Conv2d(widths[-1], image_channels, 3, padding=1)
        self.refine = convolution(widths[-1] + image_channels, widths[-1], 3, norm, relu) if skip else None
        self.apply(begin)
        for parameter in self.output.parameters() if skip else ():
            nn.init.zeros_(parameter)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        coarse, text = split(condition, self.coarse_shape)
        maps = self.encoder(coarse)
        c = self.augmentation(text, latent)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        hidden = self.hidden(torch.cat([maps, c], 1))
        if self.refine is None:
            images: Tensor = self.output(hidden).tanh()
            return images
        enlarged = interpolate(coarse, self.size, mode="bilinear")
        change = self.output(self.refine(torch.cat([hidden, enlarged], 1)))
        refined: Tensor = (change + enlarged.clamp(-BOUND, BOUND).atanh()).tanh()
        return refined


class StageDiscriminator(nn.Module):
    """Images ``(N, C, size, size)`` and conditions, of which the last E numbers count, to raw logits ``(N,)``.

    Conditions ``(N, K, ...)`` are K of each image, whose logits are ``(N, K)``; the images are then looked at once.

    Args:
        shape: (C, size, size).
        width: df, channels after the first convolution.
        kind: ``simple`` or ``default``.
        norm: as of :func:`lit_gans.networks.normalization.normalization`; not after the first. With ``none`` the
            convolutions begin as in He et al. (ICCV 2015, arXiv 1502.01852): nothing restores the scale of what passes
            through weights as small as DCGAN's.
        text_dim: E.
        dim: numbers that the embedding is made of before it meets the image.
        head: ``concat``, as in the paper: they join the image's map at each place; or ``projection``, the image's own
            logit and the inner product <h(x), v(t)> / sqrt(dim) (cGANs with Projection Discriminator, Miyato & Koyama,
            ICLR 2018, arXiv 1802.05637, eq. 3), h and v linear in the map and in the embedding.
    """

    def __init__(
        self, shape: Sequence[int], width: int, kind: str, norm: str, text_dim: int, dim: int, head: str = "concat"
    ) -> None:
        super().__init__()
        image_channels, size, _ = shape
        steps, self.text_dim, leaky = halvings(size), text_dim, nn.LeakyReLU(0.2)
        widths = [width * 2**k for k in range(steps)]
        final = width * 2 ** min(steps - 1, 3)
        layers = [convolution(image_channels, width, 4, "none", leaky, stride=2)]
        layers += [convolution(before, after, 4, norm, leaky, stride=2) for before, after in pairwise(widths)]
        while widths[-1] > final:
            widths.append(widths[-1] // 2)
            layers.append(convolution(widths[-2], widths[-1], 1, norm, leaky))
        layers += [bottleneck(final, norm, leaky)] if kind == "default" else []
        self.image = nn.Sequential(*layers)
        self.projection = nn.Linear(final * LEAST**2, dim) if head == "projection" else None
        linear = nn.Linear(text_dim, dim)
        self.text = linear if self.projection else nn.Sequential(linear, leaky)
        self.hidden = nn.Identity() if self.projection else convolution(final + dim, final, 1, norm, leaky)
        self.output = nn.Conv2d(final, 1, LEAST)
        self.apply(begin)
        for module in self.modules() if norm == "none" else ():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, 0.2)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        maps, text = self.image(image), self.text(condition[..., -self.text_dim :])
        if self.projection is not None:
            fit = torch.einsum("nd,n...d->n...", self.projection(maps.flatten(1)), text) / text.shape[-1] ** 0.5
            logits: Tensor = fit + self.output(maps).view(-1, *[1] * (text.dim() - 2))
            return logits
        each = text if text.dim() == 3 else text[:, None]
        maps = maps.repeat_interleave(each.shape[1], 0)
        tiled = each.flatten(0, 1)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        joined: Tensor = self.output(self.hidden(torch.cat([maps, tiled], 1)))
        return joined.view(text.shape[:-1])
