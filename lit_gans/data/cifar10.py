"""CIFAR-10, through torchvision."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.pixels import fit
from lit_gans.data.samples import Corners, Samples, fitted

SIZE = 32
"""Pixels of a side of the originals."""


class CIFAR10(ImageDataModule):
    """50,000 photographs of 32x32 pixels in ten classes (Krizhevsky 2009, "Learning Multiple Layers of Features").

    Other sizes are made by an antialiased bicubic resize, smaller ones by crops if asked for.

    Args:
        root: folder that holds ``cifar-10-batches-py/``.
        download: unpack ``root/cifar-10-python.tar.gz``, which is fetched if it is not there.
        image_size: pixels of a side.
        image_channels: 3, or 1 for grey.
        corners: instead of a resize, the four corners of ``image_size`` pixels of each image: four times the data, as
            LAPGAN is trained (arXiv 1506.05751, section 4.2).
        rest: options of :class:`lit_gans.data.ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        root: str = "data",
        download: bool = False,
        image_size: int = 32,
        image_channels: int = 3,
        corners: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)
        if corners and image_size > SIZE:
            raise ValueError(f"data.corners needs data.image_size of at most {SIZE} pixels, got {image_size}.")
        self.root, self.download, self.corners = root, download, corners

    @property
    @override
    def class_names(self) -> list[str]:
        return ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

    @override
    def prepare_data(self) -> None:
        if self.download:
            self.files(download=True)

    @override
    def load_test(self) -> Samples:
        return fitted(*self.originals(train=False), self.image_size, self.image_channels)

    @override
    def load(self) -> Samples:
        images, labels = self.originals()
        if self.corners:
            return Corners(fit(images, SIZE, self.image_channels), labels, self.image_size)
        return fitted(images, labels, self.image_size, self.image_channels)

    def originals(self, *, train: bool = True) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, 32, 32)`` uint8 and labels ``(N,)``; 50,000 to train with or 10,000 to test with."""
        files = self.files(download=False, train=train)
        return torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(files.targets)

    def files(self, *, download: bool, train: bool = True) -> Any:
        """The data set of torchvision, which verifies its files' checksums.

        Raises:
            FileNotFoundError: if it is not there, or not whole.
        """
        from torchvision import datasets  # type: ignore[import-untyped]  # slow to import

        root = Path(self.root).expanduser()
        try:
            return datasets.CIFAR10(str(root), train=train, download=download)
        except (OSError, RuntimeError) as error:
            last = str(error).strip().splitlines()[-1]
            reason = f"cannot be fetched ({last})" if download else f"is not in {root}, or not whole"
            raise FileNotFoundError(
                f"CIFAR-10 {reason}. data.download=true fetches cifar-10-python.tar.gz and unpacks it to "
                f"{root / 'cifar-10-batches-py'}; with the archive already in {root} it only unpacks. data.root names "
                "another folder."
            ) from error
