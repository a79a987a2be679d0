"""How far a few samples spread: what a generator loses when it collapses, whatever its samples are."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spread:
    """Two measures of samples as vectors; NaN where a sample is not finite.

    Attributes:
        distance: the mean Euclidean distance between two different samples, at least 0.
        rank: the participation ratio (sum l)^2 / sum l^2 of the eigenvalues l of their covariance, the number of
            directions in which they differ whatever their scale: from 1 to N - 1; NaN if they are all the same.
    """

    distance: float
    rank: float


def spread(samples: Tensor) -> Spread:
    """The spread of samples ``(N, ...)``, N at least 2, in float32 or better.

    Raises:
        ValueError: if there are fewer than two.
    """
    if len(samples) < 2:
        raise ValueError(f"Samples differ from each other if there are at least 2, got {len(samples)}.")
    flat = samples.flatten(1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    # Centred first: products of samples that are all but equal would cancel to nothing but rounding.
    centred = flat - flat.mean(0)
    # (N, N) has the eigenvalues of the covariance times N, however large the samples are.
    products = centred @ centred.T
    norms = products.diagonal()
    squares = norms[:, None] + norms[None, :] - 2 * products
    distance = squares.clamp(min=0).sqrt().sum() / (len(flat) * (len(flat) - 1))
    return Spread(float(distance), float(norms.sum().square() / products.square().sum()))
