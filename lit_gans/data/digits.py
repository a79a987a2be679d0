"""The handwritten digits that scikit-learn bundles: nothing is downloaded."""

from typing import Any

import torch
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.pixels import resize
from lit_gans.data.samples import InMemory, Samples


class Digits(ImageDataModule):
    """1,797 digits of 8x8 pixels with 17 grey levels (UCI "Optical Recognition of Handwritten Digits", test part).

    Levels 0..16 become 0..255; sizes other than 8 are made by bicubic interpolation of the levels.

    Args:
        image_size: pixels of a side.
        image_channels: 1, or 3 equal ones.
        rest: options of :class:`lit_gans.data.ImageDataModule`.
    """

    def __init__(self, *, image_size: int = 32, image_channels: int = 1, **rest: Any) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)

    @property
    @override
    def class_names(self) -> list[str]:
        return [str(digit) for digit in range(10)]

    @override
    def load(self) -> Samples:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # slow to import

        digits = load_digits()
        levels = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
        images = resize(levels, self.image_size).expand(-1, self.image_channels, -1, -1).contiguous()
        return InMemory(images, torch.from_numpy(digits.target).long())
