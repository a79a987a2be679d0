"""Data sets that hand out whole batches: held in memory, or made when they are asked for."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import override

from lit_gans.data.captions import Captions
from lit_gans.data.pixels import fit

Batch = dict[str, Tensor]
MEMORY_LIMIT = 2_000_000_000
"""Bytes: larger sets are not held in memory unless asked for."""
AT_ONCE = 4096  # images that are floats for a moment


class Samples(Dataset[Batch], ABC):
    """A map-style data set whose samples are dicts ``image``, and ``label`` where there is one.

    Args:
        labels: ``(N,)`` int64, -1 for unlabelled; None for none.

    Attributes:
        captions: of the images; None where there are none.
        embeddings: ``(captions.texts, E)``, what a model is told of them; samples then have ``texts`` ``(K, E)``, those
            of all their captions, and ``kind``, the number of those that fit them.
    """

    captions: Captions | None = None
    embeddings: Tensor | None = None

    def __init__(self, labels: Tensor | None) -> None:
        self.labels = labels

    @abstractmethod
    def __len__(self) -> int:
        """How many samples."""

    @abstractmethod
    def images(self, indices: Tensor) -> Tensor:
        """The samples ``(n, ...)`` at ``indices`` ``(n,)``."""

    @abstractmethod
    def content_hash(self) -> str:
        """Hexadecimal; different for different samples."""

    @override
    def __getitem__(self, index: int) -> Batch:
        return {name: values[0] for name, values in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch; what a loader asks for."""
        where = torch.from_numpy(np.asarray(indices, dtype=np.int64))  # a fifth of the time of torch.tensor
        batch = {"image": self.images(where)}
        if self.labels is not None:
            batch["label"] = self.labels.index_select(0, where)
        if self.captions is not None and self.embeddings is not None:
            batch["texts"] = self.embeddings[self.captions.numbers.index_select(0, where)]
            batch["kind"] = self.captions.kinds.index_select(0, where)
        return batch


class InMemory(Samples):
    """Samples that are one tensor.

    Args:
        values: ``(N, C, H, W)`` uint8, or ``(N, ...)`` floats for what is no image.
        labels: as in :class:`Samples`.
    """

    def __init__(self, values: Tensor, labels: Tensor | None) -> None:
        super().__init__(labels)
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @override
    def images(self, indices: Tensor) -> Tensor:
        return self.values.index_select(0, indices)

    @override
    def content_hash(self) -> str:
        return hash_of(self.values)


class Corners(InMemory):
    """All images' top left corners, then all top right ones, bottom left and bottom right: four times as many samples.

    In this order samples that are evenly spaced are of all corners.

    Args:
        values: ``(N, C, H, H)`` uint8.
        labels: ``(N,)``, as in :class:`Samples`.
        size: pixels of a side of what comes out, at most H.
    """

    def __init__(self, values: Tensor, labels: Tensor | None, size: int) -> None:
        super().__init__(values, None if labels is None else labels.repeat(4))
        self.size = size

    @override
    def __len__(self) -> int:
        return 4 * len(self.values)

    @override
    def images(self, indices: Tensor) -> Tensor:
        room, pixels = self.values.shape[-1] - self.size, torch.arange(self.size)
        corner, image = indices // len(self.values), indices % len(self.values)
        rows = (corner // 2 * room)[:, None, None] + pixels[:, None]
        columns = (corner % 2 * room)[:, None, None] + pixels
        return self.values[image[:, None, None], :, rows, columns].permute(0, 3, 1, 2)

    @override
    def content_hash(self) -> str:
        return hash_of(self.values, f"corners of {self.size}")


class Fitted(Samples):
    """Images of one size, held as they are and fitted when asked for; see :func:`lit_gans.data.pixels.fit`.

    Args:
        values: ``(N, C, H, W)`` uint8.
        labels: as in :class:`Samples`.
        size: pixels of a side of what comes out.
        channels: 1 or 3.
    """

    def __init__(self, values: Tensor, labels: Tensor | None, size: int, channels: int) -> None:
        super().__init__(labels)
        self.values, self.size, self.channels = values, size, channels

    def __len__(self) -> int:
        return len(self.values)

    @override
    def images(self, indices: Tensor) -> Tensor:
        return fit(self.values.index_select(0, indices), self.size, self.channels)

    @override
    def content_hash(self) -> str:
        return hash_of(self.values, f"fitted to {self.size} {self.channels}")


def fitted(values: Tensor, labels: Tensor | None, size: int, channels: int) -> Samples:
    """Images ``(N, C, H, W)`` uint8 at another size: in memory where they fit in it."""
    if len(values) * channels * size**2 >= MEMORY_LIMIT:
        return Fitted(values, labels, size, channels)
    parts = [fit(values[start : start + AT_ONCE], size, channels) for start in range(0, len(values), AT_ONCE)]
    return InMemory(torch.cat(parts), labels)


def hash_of(values: Tensor, *more: str) -> str:
    """Hexadecimal hash of a tensor's numbers, type and shape, and of words."""
    digest = hashlib.blake2b(repr((values.dtype, tuple(values.shape), *more)).encode(), digest_size=16)
    digest.update(values.contiguous().view(-1).numpy().data)
    return digest.hexdigest()
