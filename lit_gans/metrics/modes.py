"""Lost modes in numbers: pure functions of points around known centres, and of digits read from stacked images.

The protocol is that of PacGAN (Lin et al. 2018, arXiv 1712.04086, section 4) and VEEGAN (Srivastava et al. 2017, arXiv
1705.07761): a sample belongs to the nearest centre, is of high quality within three standard deviations of it, and a
mode is captured by one sample of high quality.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_gans.metrics.reader import DigitReader

QUALITY_RADIUS = 3.0
"""In standard deviations. Of true samples a share of 1 - exp(-4.5) = 0.9889 lies within it in the plane, no more."""
SPREAD_RADIUS = 10.0
"""In standard deviations: as far as samples count for the width of their mode. True ones are all within it."""
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the kernels of MMD, in median distances between real points."""


def nearest(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest centre, and which it is: ``(N,)`` and ``(N,)`` int64.

    Args:
        points: ``(N, d)``.
        centres: ``(K, d)``.
    """
    distances: Tensor = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist")
    distance, mode = distances.min(1)
    return distance, mode


def reverse_kl(counts: Tensor) -> float:
    """KL(p || uniform) = sum of p log(K p), in nats, of the histogram p = counts / their sum.

    0 for equal counts, log K for a single mode. Of N perfect samples it is (K - 1) / 2N on average, not 0.

    Args:
        counts: samples of each mode, ``(K,)``.

    Raises:
        ValueError: if there is no sample.
    """
    if not counts.sum():
        raise ValueError("The histogram of the modes has no sample in it.")
    shares = counts.double() / counts.sum()
    return float(torch.special.xlogy(shares, shares * len(shares)).sum())


def point_scores(points: Tensor, centres: Tensor, std: float) -> dict[str, float]:
    """How points lie around the centres of equally likely Gaussians.

    Args:
        points: ``(N, d)``.
        centres: ``(K, d)``.
        std: of each Gaussian, in every direction, above 0.

    Returns:
        ``captured``, modes with at least one sample of high quality; ``high_quality``, the share of such samples;
        ``reverse_kl``, of the histogram of all samples, good or bad, over their nearest centres; ``spread``, see
        :func:`spread`.
    """
    distance, mode = nearest(points, centres)
    good = distance <= QUALITY_RADIUS * std
    return {
        "captured": float((mode[good].bincount(minlength=len(centres)) > 0).sum()),
        "high_quality": float(good.double().mean()),
        "reverse_kl": reverse_kl(mode.bincount(minlength=len(centres))),
        "spread": spread(points, centres, std),
    }


def spread(points: Tensor, centres: Tensor, std: float) -> float:
    """Standard deviation within a mode, around the samples' own mean, divided by the true one; the mean over modes.

    1 is right, 0 is a point. Only samples within ten true standard deviations of their nearest centre count, only modes
    with two of them; NaN if there is no such mode. Arguments as of :func:`point_scores`.
    """
    distance, mode = nearest(points, centres)
    near = distance <= SPREAD_RADIUS * std
    clouds = [points[near & (mode == index)] for index in range(len(centres))]
    widths = [float(cloud.var(0).mean().sqrt()) / std for cloud in clouds if len(cloud) > 1]
    return sum(widths) / len(widths) if widths else math.nan


def directions(count: int, dimension: int) -> Tensor:
    """Unit vectors ``(count, dimension)`` to look along, float64: evenly over half a circle in the plane.

    On a line there is one. From three dimensions on they are drawn, always the same ones.
    """
    if dimension == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dimension == 2:
        angles = (torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)
        return torch.stack([angles.cos(), angles.sin()], 1)
    drawn = torch.randn(count, dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(drawn)


def sliced_wasserstein(real: Tensor, fake: Tensor, count: int = 128) -> float:
    """The Wasserstein-1 distance of the projections on a line, exact on each line; the mean over many directions.

    W1 is the area between the two distribution functions, which step by 1/N at each real and by 1/M at each fake
    projection (Bonneel et al. 2015, 10.1007/s10851-014-0506-3).

    Args:
        real: ``(N, d)``.
        fake: ``(M, d)``.
        count: directions.
    """
    lines = directions(count, real.shape[1]).to(real)
    steps = torch.cat([real.new_full((len(real),), 1 / len(real)), fake.new_full((len(fake),), -1 / len(fake))])
    places, order = (lines @ torch.cat([real, fake]).T).sort(1)
    height = steps[order].cumsum(1)[:, :-1].abs()
    return float((height * places.diff(dim=1)).sum(1).mean())


def median_distance(points: Tensor) -> float:
    """Between two different points of ``(N, d)``: the scale that MMD's kernels take from the real ones."""
    return float(torch.pdist(points).median())


def squared_mmd(real: Tensor, fake: Tensor, bandwidths: Sequence[float]) -> float:
    """The unbiased estimate of MMD^2 with the mean of Gaussian kernels exp(-|x - y|^2 / 2s^2), one for each s.

    Gretton et al. 2012 (JMLR 13, lemma 6). Of equal distributions it is 0 on average, so half of the time below 0.

    Args:
        real: ``(N, d)``, at least two.
        fake: ``(M, d)``, likewise.
        bandwidths: the kernels' s.

    Raises:
        ValueError: if there are less than two points.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"MMD needs two points of each kind, got {len(real)} real and {len(fake)} fake.")

    def similarity(distances: Tensor) -> Tensor:
        squares = distances.square()
        return torch.stack([torch.exp(squares / (-2 * s * s)).mean() for s in bandwidths]).mean()

    between = torch.cdist(real, fake, compute_mode="donot_use_mm_for_euclid_dist")
    return float(similarity(torch.pdist(real)) + similarity(torch.pdist(fake)) - 2 * similarity(between))


def read_stacks(reader: DigitReader, images: Tensor) -> Tensor:
    """p(digit | channel) ``(N, C, 10)`` of images ``(N, C, H, W)`` with a digit in each channel."""
    return reader.probabilities(images.flatten(0, 1)[:, None]).view(*images.shape[:2], -1)


def stack_scores(probabilities: Tensor, threshold: float = 0.9) -> dict[str, float]:
    """How many of the 10^C numbers there are, each digit as it is read.

    Args:
        probabilities: as of :func:`read_stacks`.
        threshold: of what is read with confidence.

    Returns:
        ``captured``, numbers read at least once (Metz et al. 2017, arXiv 1611.02163, section 3.3.1); ``reverse_kl``, of
        the histogram of all of them; ``confident``, the share of images all of whose digits are read with more than
        ``threshold``, without which the other two say little: noise is read as something, too.
    """
    highest, digits = probabilities.max(2)
    number = sum(digits[:, -1 - place] * 10**place for place in range(digits.shape[1]))
    counts = torch.as_tensor(number).bincount(minlength=10 ** digits.shape[1])
    return {
        "captured": float((counts > 0).sum()),
        "reverse_kl": reverse_kl(counts),
        "confident": float((highest > threshold).all(1).double().mean()),
    }
