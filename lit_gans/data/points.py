"""Mixtures of Gaussians in the plane, on which lost modes can be counted."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import DataModule
from lit_gans.data.order import keyed_generator
from lit_gans.data.samples import InMemory, Samples


class PointDataModule(DataModule):
    """Points ``(N, 2)`` float32 under the key ``image``; the label is the mode they were drawn from.

    Args:
        std: of each mode, in both directions.
        num_samples: points, drawn once, from modes of equal probability.
        rest: options of :class:`lit_gans.data.DataModule`.

    Attributes:
        centres: of the modes, ``(K, 2)``.
        std: of each mode.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, *, std: float, num_samples: int = 100_000, **rest: Any) -> None:
        super().__init__(**rest)
        if std < 0:
            raise ValueError(f"data.std must be at least 0, got {std}.")
        if num_samples < 1:
            raise ValueError(f"data.num_samples must be at least 1, got {num_samples}.")
        self.std, self.num_samples = std, num_samples

    @property
    @abstractmethod
    def centres(self) -> Tensor:
        """Of the modes, ``(K, 2)``."""

    @property
    @override
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    @override
    def class_names(self) -> list[str]:
        return [f"({x:.4g}, {y:.4g})" for x, y in self.centres.tolist()]

    @override
    def load(self) -> Samples:
        generator, centres = keyed_generator(self.seed, "points"), self.centres
        modes = torch.randint(len(centres), (self.num_samples,), generator=generator)
        noise = torch.randn(self.num_samples, 2, generator=generator)
        return InMemory(centres[modes] + self.std * noise, modes)

    @override
    def describe(self) -> str:
        modes = f"{self.num_classes} modes with standard deviation {self.std:g}"
        return f"{type(self).__name__}: {len(self.train_dataset):,} points in the plane around {modes}."


class Rings(PointDataModule):
    """Gaussians whose centres divide a circle: radius * (cos, sin)(2 pi i / modes).

    The numbers are those of Unrolled GANs (Metz et al. 2017, arXiv 1611.02163).

    Args:
        modes: how many Gaussians.
        radius: of the circle.
        std: of each Gaussian.
        rest: options of :class:`PointDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, *, modes: int = 8, radius: float = 2.0, std: float = 0.02, **rest: Any) -> None:
        super().__init__(std=std, **rest)
        if modes < 1:
            raise ValueError(f"data.modes must be at least 1, got {modes}.")
        self.modes, self.radius = modes, radius

    @property
    @override
    def centres(self) -> Tensor:
        angles = torch.arange(self.modes, dtype=torch.float64) * (2 * math.pi / self.modes)
        return (self.radius * torch.stack([angles.cos(), angles.sin()], dim=1)).float()


class Grid(PointDataModule):
    """Gaussians on a square grid around the origin.

    The numbers are those of PacGAN (Lin et al. 2018, arXiv 1712.04086).

    Args:
        side: Gaussians along a side; ``side ** 2`` in all.
        spacing: between neighbours.
        std: of each Gaussian.
        rest: options of :class:`PointDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, *, side: int = 5, spacing: float = 2.0, std: float = 0.05, **rest: Any) -> None:
        super().__init__(std=std, **rest)
        if side < 1:
            raise ValueError(f"data.side must be at least 1, got {side}.")
        self.side, self.spacing = side, spacing

    @property
    @override
    def centres(self) -> Tensor:
        line = (torch.arange(self.side) - (self.side - 1) / 2) * self.spacing
        return torch.cartesian_prod(line, line)
