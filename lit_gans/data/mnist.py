"""MNIST and Fashion-MNIST, read from their original files, packed or unpacked."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.samples import Samples, fitted

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


class MNIST(ImageDataModule):
    """60,000 handwritten digits of 28x28 pixels, white on black.

    A border of 2 black pixels makes them 32x32, every pixel kept as it is; from there, sizes other than 28 and 32 are
    made by an antialiased bicubic resize.

    Args:
        root: folder that holds ``MNIST/raw/``, with the original files, ``.gz`` or unpacked.
        download: fetch the files if they are not there.
        image_size: pixels of a side.
        image_channels: 1, or 3 equal ones.
        rest: options of :class:`lit_gans.data.ImageDataModule`.
    """

    def __init__(
        self,
        *,
        root: str = "data",
        download: bool = False,
        image_size: int = 32,
        image_channels: int = 1,
        **rest: Any,
    ) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)
        self.root, self.download = root, download

    @property
    @override
    def class_names(self) -> list[str]:
        return [str(digit) for digit in range(10)]

    @property
    def folder(self) -> Path:
        """Where the files are; where torchvision would put them."""
        return Path(self.root).expanduser() / type(self).__name__ / "raw"

    @override
    def prepare_data(self) -> None:
        if self.download and not (self.file(IMAGES) and self.file(LABELS)):
            self.fetch()

    def fetch(self) -> None:
        """Downloads the files.

        Raises:
            FileNotFoundError: if they cannot be had.
        """
        from torchvision import datasets  # type: ignore[import-untyped]  # slow to import

        try:
            getattr(datasets, type(self).__name__)(str(Path(self.root).expanduser()), download=True)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"{type(self).__name__} cannot be downloaded ({str(error).strip().splitlines()[-1]}). {self.how()}"
            ) from error

    def how(self) -> str:
        """What to do about files that are not there."""
        return (
            f"Put {IMAGES}.gz and {LABELS}.gz into {self.folder} by hand, or name with data.root the folder that "
            f"holds {type(self).__name__}/raw."
        )

    def file(self, name: str) -> Path | None:
        """The unpacked file, else the packed one, else None."""
        places = [self.folder / name, self.folder / f"{name}.gz"]
        return next((place for place in places if place.is_file()), None)

    def read(self, name: str) -> Tensor:
        """The numbers of one file.

        Raises:
            FileNotFoundError: if it is not there.
        """
        path = self.file(name)
        if path is None:
            raise FileNotFoundError(
                f"{type(self).__name__} is not in {self.folder}: {name}.gz is missing. "
                f"data.download=true fetches it. {self.how()}"
            )
        return read_idx(path)

    @override
    def load(self) -> Samples:
        return self.samples(IMAGES, LABELS)

    @override
    def load_test(self) -> Samples:
        return self.samples(TEST_IMAGES, TEST_LABELS)

    def samples(self, images_name: str, labels_name: str) -> Samples:
        """The images of one file with the labels of another."""
        images, labels = self.read(images_name), self.read(labels_name)
        if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels):
            raise ValueError(
                f"{self.folder} holds images of the shape {tuple(images.shape)} and labels of the shape "
                f"{tuple(labels.shape)}, which do not belong together: replace both files."
            )
        if self.image_size != 28:
            images = F.pad(images, (2, 2, 2, 2))
        return fitted(images[:, None], labels.long(), self.image_size, self.image_channels)


class FashionMNIST(MNIST):
    """60,000 pictures of garments, in the form of MNIST (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747).

    Args:
        rest: options of :class:`MNIST`; ``root`` holds ``FashionMNIST/raw/``.
    """

    @property
    @override
    def class_names(self) -> list[str]:
        tops = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
        return [*tops, "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def read_idx(path: Path) -> Tensor:
    """The numbers of a file in MNIST's own format: two zero bytes, type 8 (uint8), dimensions, sizes, numbers.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, dimensions = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
        if (zeros, kind) != (0, 8):
            raise ValueError("it does not begin as such a file does")
        numbers = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}): remove it and fetch it again.") from error
    return torch.from_numpy(numbers.copy())
