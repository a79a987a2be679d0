"""Simple shapes with smooth edges, at any size: drawn from the signed distance of each pixel to the edge."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

DOTS = 4_000_000
"""Pixels that are drawn at once, at most."""


def box(p: Tensor, width: float, height: float) -> Tensor:
    """Signed distances of points ``(..., 2)`` to a rectangle around 0 with these half sides."""
    beyond = p.abs() - p.new_tensor([width, height])
    distance: Tensor = beyond.clamp_min(0).norm(dim=-1) + beyond.amax(-1).clamp_max(0)
    return distance


def polygon(p: Tensor, corners: int, inner: float) -> Tensor:
    """To a star around 0: corners at 1, one of them upwards, and between them at ``inner``; exact near its edges."""
    sector = math.pi / corners
    angle = torch.atan2(p[..., 0], -p[..., 1]).abs()
    angle = (angle + sector).remainder(2 * sector) - sector  # from the nearest corner
    folded = torch.stack([angle.cos(), angle.sin().abs()], -1) * p.norm(dim=-1, keepdim=True)
    edge = p.new_tensor([inner * math.cos(sector) - 1, inner * math.sin(sector)])
    normal = torch.stack([edge[1], -edge[0]]) / edge.norm()
    distance: Tensor = (folded - p.new_tensor([1.0, 0.0])) @ normal
    return distance


SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "circle": lambda p: p.norm(dim=-1) - 1,
    "square": lambda p: box(p, 0.85, 0.85),
    "triangle": lambda p: polygon(p, 3, 0.5),
    "star": lambda p: polygon(p, 5, 0.4),
    "ring": lambda p: (p.norm(dim=-1) - 0.75).abs() - 0.25,
    "cross": lambda p: torch.minimum(box(p, 1.0, 0.32), box(p, 0.32, 1.0)),
}
"""Signed distances of points ``(..., 2)`` to the edge of a shape of radius 1, in radii; below 0 inside."""


def coverage(shape: Tensor, centre: Tensor, radius: Tensor, angle: Tensor, size: int) -> Tensor:
    """How much of each pixel a shape covers, ``(N, size, size)`` in [0, 1].

    Args:
        shape: ``(N,)`` int64, places in :data:`SHAPES`.
        centre: ``(N, 2)``, from the left and from the top, the image's side being 1.
        radius: ``(N,)``, likewise.
        angle: ``(N,)``, radians.
        size: pixels of a side.
    """
    middles = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    p = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), -1) - centre[:, None, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    turned = torch.stack([cos * p[..., 0] + sin * p[..., 1], cos * p[..., 1] - sin * p[..., 0]], -1)
    turned = turned / radius[:, None, None, None]
    distance = torch.empty(len(shape), size, size)
    for number, function in enumerate(SHAPES.values()):
        which = shape == number
        distance[which] = function(turned[which])
    return (0.5 - distance * radius[:, None, None] * size).clamp(0, 1)


def paint(covered: Tensor, colour: Tensor, background: Tensor) -> Tensor:
    """Images ``(N, 3, S, S)`` uint8 of what covers ``(N, S, S)``, in colours ``(N, 3)`` from 0 to 255."""
    share = covered[:, None]
    mixed = share * colour[:, :, None, None] + (1 - share) * background[:, :, None, None]
    return mixed.round().clamp(0, 255).to(torch.uint8)
