"""The Laplacian pyramid (Burt & Adelson 1983), as Denton et al. 2015 (arXiv 1506.05751, section 2.2) build theirs.

With d to shrink and u to enlarge: I_k = d(I, size of level k), h_k = I_k - u(I_(k+1)), and back I_k = u(I_(k+1)) + h_k.
Level 0 is the image, the last level the coarsest. Images are square, ``(N, C, S, S)``, of any range.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

METHODS = ("area", "blur")
BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def halved(size: int, least: int = 7) -> list[int]:
    """Pixels of levels, the finest first, each half of the one before, rounded up, as long as ``least`` are left."""
    sizes = [size]
    while (size := (size + 1) // 2) >= least:
        sizes.append(size)
    return sizes


def check_sizes(
    sizes: Sequence[int], method: str = "area", *, image_size: int | None = None, smallest: int = 1
) -> None:
    """Makes sure that levels nest.

    Args:
        sizes: pixels of each level, the finest first.
        method: of :func:`shrink`.
        image_size: pixels of the images; None for any.
        smallest: pixels of a level that another is below.

    Raises:
        ValueError: if they do not become smaller, or ``method`` cannot make them.
    """
    if method not in METHODS:
        raise ValueError(f"There is no way to shrink images called {method!r}. Possible: {', '.join(METHODS)}.")
    if not sizes or sizes[-1] < 1:
        raise ValueError(f"A pyramid needs a level of at least one pixel, got {list(sizes)}.")
    if image_size not in (None, sizes[0]):
        raise ValueError(f"sizes must begin with the image's {image_size} pixels, got {list(sizes)}.")
    for fine, coarse in pairwise(sizes):
        if fine < smallest:
            raise ValueError(f"A level that another is below needs {smallest} pixels or more, got {list(sizes)}.")
        if coarse >= fine:
            raise ValueError(f"Each level must be smaller than the one before it, got {fine} and then {coarse} pixels.")
        if method == "blur" and coarse != (fine + 1) // 2:
            raise ValueError(f"'blur' halves images: after {fine} come {(fine + 1) // 2} pixels, not {coarse}.")


@lru_cache
def area_weights(before: int, after: int) -> Tensor:
    """Rows of weights ``(after, before)``: the share of each old pixel in the interval that a new one covers, float64.

    Between integer multiples the pixels at the edges of an interval count by what of them lies within.
    """
    scale = before / after
    starts = torch.arange(after, dtype=torch.float64).unsqueeze(1) * scale
    pixels = torch.arange(before, dtype=torch.float64)
    overlap = torch.minimum(starts + scale, pixels + 1) - torch.maximum(starts, pixels)
    return overlap.clamp_min(0) / scale


def shrink(image: Tensor, size: int, method: str = "area") -> Tensor:
    """A smaller image.

    Args:
        image: ``(N, C, S, S)``.
        size: pixels of a side, at most S.
        method: ``area`` averages what each new pixel covers, fractions included, as the paper's code does; ``blur``
            filters by (1, 4, 6, 4, 1) / 16 in each direction, the border repeated, and leaves out every other pixel,
            once or several times, as the paper says.

    Returns:
        ``(N, C, size, size)``.
    """
    if method == "blur":
        while image.shape[-1] > size:
            image = _blurred(image)[..., ::2, ::2]
        return image
    if image.shape[-1] == size:
        return image
    weights = area_weights(image.shape[-1], size).to(image)
    return weights @ image @ weights.t()


def enlarge(image: Tensor, size: int) -> Tensor:
    """A larger image, bilinear between pixels whose outermost lie on the borders; ``(N, C, size, size)``."""
    return interpolate(image, (size, size), mode="bilinear", align_corners=True)


def _blurred(image: Tensor) -> Tensor:
    row = torch.tensor(BINOMIAL, dtype=image.dtype, device=image.device) / sum(BINOMIAL)
    n, channels, *shape = image.shape
    filtered = conv2d(pad(image, (2, 2, 2, 2), mode="replicate").flatten(0, 1).unsqueeze(1), row.outer(row)[None, None])
    return filtered.view(n, channels, *shape)


def build(image: Tensor, sizes: Sequence[int], method: str = "area") -> list[Tensor]:
    """h_0, ..., h_(K-1), I_K: the differences, the finest first, and the coarsest image.

    Args:
        image: ``(N, C, S, S)`` with S >= ``sizes[0]``.
        sizes: pixels of each level, the finest first.
        method: of :func:`shrink`.
    """
    images = [shrink(image, size, method) for size in sizes]
    return [*(fine - enlarge(coarse, fine.shape[-1]) for fine, coarse in pairwise(images)), images[-1]]


def collapse(levels: Sequence[Tensor]) -> Tensor:
    """The image that :func:`build` made the levels of."""
    *differences, image = levels
    for difference in reversed(differences):
        image = enlarge(image, difference.shape[-1]) + difference
    return image
