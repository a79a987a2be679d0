"""Mixtures of Gaussians, on which lost modes can be counted, and the one point of DiracGAN."""

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
    """Points ``(N, d)`` float32 under the key ``image``; the label is the mode they were drawn from.

    Args:
        std: of each mode, in every direction.
        num_samples: points, drawn once, from modes of equal probability.
        rest: options of :class:`lit_gans.data.DataModule`.

    Attributes:
        centres: of the modes, ``(K, d)``.
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
        """Of the modes, ``(K, d)``."""

    @property
    @override
    def shape(self) -> tuple[int, ...]:
        return tuple(self.centres.shape[1:])

    @property
    @override
    def class_names(self) -> list[str]:
        return [f"({', '.join(f'{x:.4g}' for x in centre)})" for centre in self.centres.tolist()]

    @override
    def load(self) -> Samples:
        generator, centres = keyed_generator(self.seed, "points"), self.centres
        modes = torch.randint(len(centres), (self.num_samples,), generator=generator)
        noise = torch.randn(self.num_samples, *self.shape, generator=generator)
        return InMemory(centres[modes] + self.std * noise, modes)

    @override
    def describe(self) -> str:
        (dimension,) = self.shape
        where = {1: "on a line", 2: "in the plane"}.get(dimension, f"in {dimension} dimensions")
        modes = f"{self.num_classes} mode{'s' * (self.num_classes > 1)} with standard deviation {self.std:g}"
        return f"{type(self).__name__}: {len(self.train_dataset):,} points {where} around {modes}."


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


class Dirac(PointDataModule):
    """Nothing but the origin, the data of DiracGAN (Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406, section 2).

    Where a game ends on it says whether the game converges: the generator should come to rest at the origin.

    Args:
        dimension: 1 for points on a line, as in the paper, 2 for points in the plane.
        std: 0, or a little noise.
        rest: options of :class:`PointDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, *, dimension: int = 2, std: float = 0.0, **rest: Any) -> None:
        super().__init__(std=std, **rest)
        if dimension not in (1, 2):
            raise ValueError(f"data.dimension must be 1 or 2, got {dimension}.")
        self.dimension = dimension

    @property
    @override
    def centres(self) -> Tensor:
        return torch.zeros(1, self.dimension)
