"""Stacked digits: a digit in each channel, so that an RGB image is one of a thousand modes that can be read back.

The data of Unrolled GANs (Metz et al. 2017, arXiv 1611.02163, section 3.3.1).
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.digits import Digits
from lit_gans.data.mnist import MNIST
from lit_gans.data.order import EndlessOrder, ExactOrder
from lit_gans.data.samples import Batch, InMemory, Samples, hash_of
from lit_gans.keys import key

EPOCH = 128_000
"""Images of an epoch where there is no end to them: as many as the fixed sets of VEEGAN and PacGAN have."""


class Stacks(Samples):
    """Images of digits chosen by their number alone: image i is the same whenever and wherever it is asked for.

    Args:
        digits: grey images of digits, with labels 0..9.
        channels: digits in an image.
        count: what ``len`` says; there is no end to the images.
        seed: of the choice.
    """

    def __init__(self, digits: Samples, channels: int, count: int, seed: int) -> None:
        super().__init__(None)
        assert digits.labels is not None
        self.digits, self.classes = digits, digits.labels
        self.channels, self.count, self.seed = channels, count, key(seed, "stacked")
        self.powers = 10 ** torch.arange(channels - 1, -1, -1)

    def __len__(self) -> int:
        return self.count

    def chosen(self, indices: Tensor) -> Tensor:
        """Which digits the images ``(n,)`` are made of: ``(n, channels)``, each equally likely."""
        places = indices[:, None].numpy() * self.channels + np.arange(self.channels)
        return torch.from_numpy(integers(self.seed, places, len(self.digits)))

    def stacked(self, chosen: Tensor) -> Tensor:
        """Images ``(n, channels, H, W)`` of digits ``(n, channels)``."""
        digits = self.digits.images(chosen.flatten())
        return digits.view(*chosen.shape, *digits.shape[2:])

    @override
    def images(self, indices: Tensor) -> Tensor:
        return self.stacked(self.chosen(indices))

    @override
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = self.chosen(torch.from_numpy(np.asarray(indices, dtype=np.int64)))
        return {"image": self.stacked(chosen), "label": (self.classes[chosen] * self.powers).sum(1)}

    @override
    def content_hash(self) -> str:
        return hash_of(torch.empty(0), self.digits.content_hash(), f"{self.channels} {self.count} {self.seed}")


class StackedDataModule(ImageDataModule):
    """Images with a random digit in each channel; the label is the number that the digits make, red first.

    Args:
        num_samples: None for images drawn on the fly, never the same draw again, as in Unrolled GANs; else so many,
            again in every epoch, as in VEEGAN and PacGAN.
        image_size: pixels of a side.
        image_channels: 3 for the thousand modes of the papers; 1 for ten.
        rest: options of :class:`lit_gans.data.ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    train_dataset: Stacks

    reader: str
    """The classifier of :mod:`lit_gans.metrics` that reads the digits: ``mnist`` or ``digits``."""

    def __init__(
        self, *, num_samples: int | None = None, image_size: int = 32, image_channels: int = 3, **rest: Any
    ) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"data.num_samples must be at least 1, or null for no end to them, got {num_samples}.")
        self.num_samples = num_samples

    @property
    @abstractmethod
    def source(self) -> ImageDataModule:
        """Where the digits come from."""

    @property
    @override
    def class_names(self) -> list[str]:
        return [f"{number:0{self.image_channels}}" for number in range(10**self.image_channels)]

    @property
    @override
    def order(self) -> type[ExactOrder]:
        return EndlessOrder if self.num_samples is None else ExactOrder

    @override
    def prepare_data(self) -> None:
        self.source.prepare_data()

    @override
    def load(self) -> Stacks:
        return Stacks(self.source.load(), self.image_channels, self.num_samples or EPOCH, self.seed)

    @override
    def workers(self) -> int:
        cheap = self.num_workers is None and isinstance(self.train_dataset.digits, InMemory)
        return 0 if cheap else super().workers()

    @override
    def describe(self) -> str:
        images = "new images all the time" if self.num_samples is None else f"{self.num_samples:,} images"
        digits = f"one of the {len(self.train_dataset.digits):,} digits of {type(self.source).__name__}"
        return (
            f"{type(self).__name__}: {images}, {self.image_size}x{self.image_size} pixels; in each of "
            f"{self.image_channels} channels {digits}, {self.num_classes:,} modes."
        )


class StackedMNIST(StackedDataModule):
    """MNIST's digits, stacked.

    Args:
        root: folder that holds ``MNIST/raw/``, with the original files, ``.gz`` or unpacked.
        download: fetch the files if they are not there.
        rest: options of :class:`StackedDataModule`.
    """

    reader = "mnist"

    def __init__(self, *, root: str = "data", download: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.root, self.download = root, download

    @property
    @override
    def source(self) -> ImageDataModule:
        return MNIST(root=self.root, download=self.download, image_size=self.image_size)


class StackedDigits(StackedDataModule):
    """The digits that scikit-learn bundles, stacked: nothing is downloaded.

    Args:
        rest: options of :class:`StackedDataModule`.
    """

    reader = "digits"

    @property
    @override
    def source(self) -> ImageDataModule:
        return Digits(image_size=self.image_size)


def integers(seed: int, places: np.ndarray, below: int) -> np.ndarray:
    """Uniform integers in [0, below), below 2^32, each a function of the seed and its own place.

    SplitMix64 (Steele, Lea, Flood 2014, 10.1145/2714064.2660195) can be entered at any place: where millions of images
    are told apart by a number, no generator has to be seeded for each.

    Args:
        seed: 63 bits.
        places: int64, at least 0.
        below: how many integers there are.
    """
    z = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(32)) * np.uint64(below) >> np.uint64(32)).astype(np.int64)
