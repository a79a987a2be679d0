"""A world of coloured shapes with captions, drawn on the fly: nothing is downloaded, and everything is known of it."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.captions import Captions
from lit_gans.data.drawing import DOTS, coverage, paint
from lit_gans.data.order import keyed_generator
from lit_gans.data.samples import MEMORY_LIMIT, InMemory, Samples, hash_of
from lit_gans.data.wording import ATTRIBUTES, WORDINGS, caption

COLOURS = {
    **{"red": (215, 40, 40), "orange": (245, 130, 20), "yellow": (245, 220, 50), "green": (40, 160, 60)},
    **{"cyan": (70, 210, 225), "blue": (45, 75, 215), "purple": (135, 50, 175), "pink": (250, 140, 190)},
    **{"white": (245, 245, 245), "grey": (125, 125, 125), "black": (15, 15, 15)},
}
"""RGB."""
RADII = {"small": (0.08, 0.095), "medium": (0.12, 0.14), "large": (0.18, 0.2)}
"""Of one shape, least and most, the side of an image being 1."""
PLACES = (0.25, 0.5, 0.75)
JITTER = 0.03
"""Of a place, either way."""
SHADE, TILT = 12.0, 0.2
"""Either way: of each channel of a colour, in 255ths; of a shape, in radians."""
TOGETHER = (1.0, 1.7, 2.4)
"""By how much two or three shapes are smaller than one."""
TOLD = 5
"""Captions of an image."""
HELD_OUT = ("shape", "colour", "size", "position")
"""The attributes whose combinations training and test images never share."""


def names_of(attributes: Tensor) -> dict[str, str]:
    """The values of numbers ``(6,)``, by the names of the attributes."""
    pairs = zip(ATTRIBUTES.items(), attributes.tolist(), strict=True)
    return {name: words[number] for (name, words), number in pairs}


def kinds_of(attributes: Tensor) -> Tensor:
    """One number for each combination: ``(N,)`` for numbers ``(N, 6)`` in the order of :data:`ATTRIBUTES`."""
    kinds = torch.zeros(len(attributes), dtype=torch.int64)
    for column, words in zip(attributes.T, ATTRIBUTES.values(), strict=True):
        kinds = kinds * len(words) + column
    return kinds


def attributes_of(kinds: Tensor) -> Tensor:
    """The numbers ``(N, 6)`` again that :func:`kinds_of` made one of, ``(N,)``."""
    columns = []
    for words in reversed(ATTRIBUTES.values()):
        columns.append(kinds % len(words))
        kinds = kinds // len(words)
    return torch.stack(columns[::-1], 1)


class Shapes(ImageDataModule):
    """One shape, or up to three, in a colour, a size and a place on a background, with five captions each.

    Places, sizes, colours and angles vary a little, never so that an attribute is in doubt; an image is a function of
    the seed and its number. The test set has combinations of shape, colour, size and position that training never
    shows, the same ones for every seed.

    Args:
        image_size: pixels of a side, at least 16.
        num_images: of the training set.
        num_test: of the test set.
        max_count: shapes in an image, from one to this, at most 3.
        held_out: share of the combinations that are kept for the test, in (0, 1).
        rest: options of :class:`lit_gans.data.ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        image_size: int = 64,
        image_channels: int = 3,
        num_images: int = 20_000,
        num_test: int = 2_000,
        max_count: int = 1,
        held_out: float = 0.1,
        **rest: Any,
    ) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)
        if image_size < 16 or image_channels != 3:
            raise ValueError(
                f"Shapes are drawn in colour (data.image_channels=3) and in 16 pixels or more, not in {image_channels} "
                f"channel(s) and {image_size} pixels."
            )
        for name, value in (("num_images", num_images), ("num_test", num_test)):
            if value < 1:
                raise ValueError(f"data.{name} must be at least 1, got {value}.")
        if max_count not in (1, 2, 3):
            raise ValueError(f"data.max_count must be 1, 2 or 3, got {max_count}.")
        if self.flip:
            raise ValueError("A flipped image of shapes has another caption: data.flip=false.")
        if not 0 < held_out < 1:
            raise ValueError(f"data.held_out must be above 0 and below 1, got {held_out}.")
        self.num_images, self.num_test, self.max_count, self.held_out = num_images, num_test, max_count, held_out

    @property
    @override
    def class_names(self) -> list[str]:
        return []

    @override
    def load(self) -> Samples:
        return self.samples(self.num_images, "train", self.combinations(held_out=False))

    @override
    def load_test(self) -> Samples | None:
        return self.samples(self.num_test, "test", self.combinations(held_out=True))

    def combinations(self, *, held_out: bool) -> Tensor:
        """Those of :data:`HELD_OUT` that the training set has, or those that it never shows, ``(M, 4)`` int64."""
        numbers = torch.cartesian_prod(*(torch.arange(len(ATTRIBUTES[name])) for name in HELD_OUT))
        order = torch.randperm(len(numbers), generator=keyed_generator(0, "held out"))
        kept = max(1, min(len(numbers) - 1, round(self.held_out * len(numbers))))
        return numbers[(order[:kept] if held_out else order[kept:]).sort().values]

    def samples(self, n: int, part: str, combinations: Tensor) -> Samples:
        """Images of these combinations, with their captions."""
        generator = keyed_generator(self.seed, "shapes", part)
        chosen = combinations[torch.randint(len(combinations), (n,), generator=generator)]
        more = [
            torch.randint(most, (n, 1), generator=generator) for most in (len(ATTRIBUTES["background"]), self.max_count)
        ]
        drawn = Drawn(torch.cat([chosen, *more], 1), torch.rand(n, 10, generator=generator) * 2 - 1, self.image_size)
        wordings = torch.rand(n, WORDINGS, generator=generator).argsort(1)[:, :TOLD]
        captions = Captions(
            [[caption(names_of(drawn.attributes[i]), w) for w in own] for i, own in enumerate(wordings.tolist())],
            kinds_of(drawn.attributes),
        )
        fits = n * 3 * self.image_size**2 < MEMORY_LIMIT
        samples: Samples = InMemory(drawn.images(torch.arange(n)), None) if fits else drawn
        samples.captions = captions
        return samples


class Drawn(Samples):
    """Images of shapes, drawn when they are asked for.

    Args:
        attributes: ``(N, 6)`` int64, numbers of the values of :data:`lit_gans.data.wording.ATTRIBUTES`, in their order.
        variation: ``(N, 10)`` in [-1, 1]: of place, radius, angle and both colours.
        size: pixels of a side.
    """

    def __init__(self, attributes: Tensor, variation: Tensor, size: int) -> None:
        super().__init__(None)
        self.attributes, self.variation, self.size = attributes, variation, size

    def __len__(self) -> int:
        return len(self.attributes)

    @override
    def images(self, indices: Tensor) -> Tensor:
        parts = torch.split(indices, max(1, DOTS // self.size**2))
        return torch.cat([self.draw(part) for part in parts])

    def draw(self, indices: Tensor) -> Tensor:
        """Images ``(n, 3, S, S)`` uint8."""
        shape, colour, size, position, background, extra = self.attributes[indices].T
        vary = self.variation[indices]
        least, most = torch.tensor(list(RADII.values()))[size].T
        radius = (least + (most - least) * (vary[:, 2] + 1) / 2) / torch.tensor(TOGETHER)[extra]
        places = torch.tensor(PLACES)
        centre = torch.stack([places[position % 3], places[position // 3]], 1) + JITTER * vary[:, :2]
        room = 1.3 * radius[:, None] * torch.stack([1 + extra, torch.ones_like(extra)], 1)  # of a row of shapes
        centre = torch.minimum(torch.maximum(centre, room), 1 - room)
        covered = torch.zeros(len(indices), self.size, self.size)
        for number in range(int(extra.max()) + 1):
            there = extra >= number
            shift = radius * 2.5 * (number - extra / 2)
            own = torch.stack([centre[:, 0] + shift, centre[:, 1]], 1)
            one = coverage(shape[there], own[there], radius[there], TILT * vary[there, 3], self.size)
            covered[there] = torch.maximum(covered[there], one)
        paints = [
            torch.tensor([COLOURS[word] for word in ATTRIBUTES[name]], dtype=torch.float32)[number] + SHADE * own
            for name, number, own in (
                ("colour", colour, vary[:, 4:7]),
                ("background", background, vary[:, 7:10]),
            )
        ]
        return paint(covered, *paints)

    @override
    def content_hash(self) -> str:
        return hash_of(torch.cat([self.attributes.double(), self.variation.double()], 1), f"shapes of {self.size}")
