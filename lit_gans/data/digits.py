"""The handwritten digits that scikit-learn bundles: nothing is downloaded."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.order import keyed_generator
from lit_gans.data.pixels import resize
from lit_gans.data.samples import InMemory, Samples

COUNT = 1797


class Digits(ImageDataModule):
    """1,797 digits of 8x8 pixels with 17 grey levels (UCI "Optical Recognition of Handwritten Digits", test part).

    Levels 0..16 become 0..255; sizes other than 8 are made by bicubic interpolation of the levels.

    Args:
        image_size: pixels of a side.
        image_channels: 1, or 3 equal ones.
        num_test: digits that are kept for a test, the same ones for every seed.
        rest: options of :class:`lit_gans.data.ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    how_to_test = ": data.num_test keeps some of the digits for it"

    def __init__(self, *, image_size: int = 32, image_channels: int = 1, num_test: int = 0, **rest: Any) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)
        if not 0 <= num_test < COUNT:
            raise ValueError(f"data.num_test must be at least 0 and below the {COUNT:,} digits, got {num_test}.")
        self.num_test = num_test

    @property
    @override
    def class_names(self) -> list[str]:
        return [str(digit) for digit in range(10)]

    @override
    def load(self) -> Samples:
        return self.digits(self.shuffled()[self.num_test :].sort().values) if self.num_test else self.digits()

    @override
    def load_test(self) -> Samples | None:
        return self.digits(self.shuffled()[: self.num_test]) if self.num_test else None

    def shuffled(self) -> Tensor:
        """The digits' numbers, of which the first are kept for a test."""
        return torch.randperm(COUNT, generator=keyed_generator(0, "test"))

    def digits(self, which: Tensor | None = None) -> Samples:
        """All digits, or those of these numbers."""
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # slow to import

        digits = load_digits()
        levels = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
        images = resize(levels, self.image_size).expand(-1, self.image_channels, -1, -1).contiguous()
        labels = torch.from_numpy(digits.target).long()
        return InMemory(images, labels) if which is None else InMemory(images[which], labels[which])
