"""A person's own images."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from PIL import UnidentifiedImageError
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import ImageDataModule
from lit_gans.data.decode import Held, decode, probe
from lit_gans.data.labels import read_labels
from lit_gans.data.layout import classes_of, image_names, listed, summary
from lit_gans.data.samples import MEMORY_LIMIT, InMemory, Samples
from lit_gans.data.sources import Source, open_source

AT_ONCE = 1024  # files in the threads' hands
LONG = 5000  # so many files take a time that is announced


class Folder(ImageDataModule):
    """The images under a folder or in a zip, in any layout and of any size, kind and number of channels.

    Where every image is in a subfolder, the subfolders' names are the classes; a folder around everything does not
    count, and images in a subfolder ``unlabelled`` have no class. How an image becomes a square is said at
    :func:`lit_gans.data.decode.decode`.

    Args:
        path: a folder, or a zip, which is read without being unpacked.
        labels: a CSV with the columns ``file``, relative to ``path``, and ``label``, instead of the subfolders' names;
            what it does not name is unlabelled.
        test_path: images to test with, with the same classes: a folder or a zip of subfolders.
        on_corrupt: ``refuse`` files that cannot be read, or ``skip`` them with a warning.
        in_memory: hold all images decoded; None does if they take less than 2 GB. Where they are not held, only their
            headers are read before training.
        image_size: pixels of a side.
        image_channels: 1 or 3.
        rest: options of :class:`lit_gans.data.ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range, or files cannot be read.
        FileNotFoundError: if there are no images.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        labels: str | None = None,
        test_path: str | None = None,
        on_corrupt: str = "refuse",
        in_memory: bool | None = None,
        image_size: int = 64,
        image_channels: int = 3,
        **rest: Any,
    ) -> None:
        super().__init__(image_size=image_size, image_channels=image_channels, **rest)
        if on_corrupt not in ("refuse", "skip"):
            raise ValueError(f"data.on_corrupt must be 'refuse' or 'skip', got {on_corrupt!r}.")
        self.path, self.on_corrupt, self.in_memory = path, on_corrupt, in_memory
        self.labels, self.test_path = labels, test_path
        self.classes: list[str] = []
        self.names: list[str] = []
        self.found = ""

    how_to_test = ": data.test_path names images for it"

    @property
    @override
    def class_names(self) -> list[str]:
        return self.classes

    @override
    def load(self) -> Samples:
        source = open_source(self.path)
        names = self.select(source, image_names(source))
        if len(names) >= LONG:
            rank_zero_info(f"Reading {len(names):,} images from {source.path} ...")
        files = Decoded(source, names, self.image_size, self.image_channels, self.on_corrupt)
        size = (len(names), *self.shape)
        hold = torch.Size(size).numel() < MEMORY_LIMIT if self.in_memory is None else self.in_memory
        values = torch.empty(size, dtype=torch.uint8) if hold else None
        results = files.examine(values)
        good = [i for i, result in enumerate(results) if isinstance(result, Held)]
        self.report(source, names, results)
        self.names = files.names = [names[i] for i in good]
        self.classes, files.labels = self.classify(files.names)
        held = [result for result in results if isinstance(result, Held)]
        self.found = summary(source, files.names, held, len(names))
        if values is None:
            return files
        return InMemory(values if len(good) == len(names) else values[good], files.labels)

    def select(self, source: Source, names: list[str]) -> list[str]:
        """The files to take, of those that are images by their names."""
        return names

    def classify(self, names: list[str]) -> tuple[list[str], Tensor | None]:
        """The classes, and a label for each file."""
        return classes_of(names) if self.labels is None else read_labels(Path(self.labels).expanduser(), names)

    @override
    def load_test(self) -> Samples | None:
        if self.test_path is None:
            return None
        size: dict[str, Any] = {"image_size": self.image_size, "image_channels": self.image_channels}
        test = Folder(path=self.test_path, on_corrupt=self.on_corrupt, in_memory=self.in_memory, **size)
        samples = test.load()
        if samples.labels is None:
            raise ValueError(f"data.test_path={self.test_path} has no classes: it must have a subfolder for each.")
        if unknown := sorted(set(test.classes) - set(self.classes)):
            known = listed(self.classes) or "none"
            raise ValueError(f"data.test_path has the classes {listed(unknown)}; those of data.path are {known}.")
        numbers = torch.tensor([*(self.classes.index(name) for name in test.classes), -1])
        samples.labels = numbers[samples.labels]
        return samples

    def report(self, source: Source, names: list[str], results: list[Held | Exception]) -> None:
        """Refuses, or warns of, files that cannot be read."""
        pairs = zip(names, results, strict=True)
        bad = [f"{name} ({reason(result)})" for name, result in pairs if isinstance(result, Exception)]
        if not bad:
            return
        if len(bad) == len(names):
            raise ValueError(f"None of the {len(names):,} images in {source.path} can be read: {listed(bad)}.")
        if self.on_corrupt == "refuse":
            raise ValueError(
                f"{len(bad):,} of the {len(names):,} images in {source.path} cannot be read: {listed(bad)}. Remove or "
                "replace them, or leave them out with data.on_corrupt=skip."
            )
        warnings.warn(f"Left out of {source.path}, as they cannot be read: {listed(bad)}.", stacklevel=2)

    @override
    def describe(self) -> str:
        return f"{super().describe()}\n{self.found}"


class Decoded(Samples):
    """Image files, decoded when they are asked for.

    Args:
        source: where they are.
        names: which they are.
        size: pixels of a side of what comes out.
        channels: 1 or 3.
        on_corrupt: ``refuse`` raises for a file that cannot be read; ``skip`` warns, and gives the next of its class.
    """

    def __init__(self, source: Source, names: list[str], size: int, channels: int, on_corrupt: str) -> None:
        super().__init__(None)
        self.source, self.names, self.size, self.channels = source, names, size, channels
        self.on_corrupt = on_corrupt

    def __len__(self) -> int:
        return len(self.names)

    @override
    def images(self, indices: Tensor) -> Tensor:
        return torch.stack([self.image(index) for index in indices.tolist()])

    def image(self, index: int) -> Tensor:
        """The pixels of one file, or of the next of its class that can be read.

        Raises:
            ValueError: if it cannot be read.
        """
        for place in self.instead_of(index):
            try:
                return self.read(place)[0]
            except Exception as error:  # Pillow raises whatever its plugins for the many formats do
                trouble = f"{self.source.path / self.names[place]} cannot be read ({reason(error)})"
                if self.on_corrupt == "refuse":
                    raise ValueError(
                        f"{trouble}. Remove or replace it, or let another image take its place by data.on_corrupt=skip."
                    ) from error
                warnings.warn(f"{trouble}: another image takes its place.", stacklevel=2)
        raise ValueError(
            f"No image of {self.source.path} that could stand for {self.names[index]} can be read any more."
        )

    def instead_of(self, index: int) -> Iterator[int]:
        """The file itself, then all others with its label, in order."""
        for place in (number % len(self) for number in range(index, index + len(self))):
            if self.labels is None or self.labels[place] == self.labels[index]:
                yield place

    def read(self, index: int) -> tuple[Tensor, Held]:
        """The pixels of one file, and what it held."""
        with self.source.open(self.names[index]) as file:
            return decode(file, self.size, self.channels)

    def examine(self, values: Tensor | None) -> list[Held | Exception]:
        """What each file holds, or why it cannot be read, by many threads.

        Args:
            values: filled with the pixels, ``(N, C, H, W)`` uint8; None to read only headers.
        """

        def see(index: int) -> Held | Exception:
            try:
                if values is None:
                    with self.source.open(self.names[index]) as file:
                        return probe(file)
                values[index], held = self.read(index)
                return held
            except Exception as error:
                return error

        return at_once(see, len(self))

    @override
    def content_hash(self) -> str:
        """Of names, sizes and times of change: the images themselves may be too many to read."""
        digest = hashlib.blake2b(f"{self.size} {self.channels}".encode(), digest_size=16)
        for name in self.names:
            digest.update(f"{name} {self.source.stamp(name)}".encode())
        return digest.hexdigest()


def at_once(function: Callable[[int], Any], count: int) -> list[Any]:
    """``function`` of 0 to ``count - 1``, by a thread for each core: Pillow decodes outside Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = (range(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE))
        return [result for part in parts for result in threads.map(function, part)]


def reason(error: Exception) -> str:
    """Why a file cannot be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return str(error) or type(error).__name__
