"""Augmentations of what a discriminator sees: pure functions of images, differentiable with respect to them twice.

Images are ``(N, C, H, W)`` in [-1, 1] of any float type, and so is what comes back. Every sample has its own draw, from
torch's global generator on the images' device; what is drawn is in at least float32. Nothing is clipped.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Augmentation = Callable[[Tensor], Tensor]


def check_images(shape: tuple[int, ...] | None, trick: str) -> None:
    """Makes sure that the samples are images.

    Args:
        shape: of a sample, without N.
        trick: the name of who augments.

    Raises:
        ValueError: if they are not ``(C, H, W)``.
    """
    if shape is None or len(shape) != 3:
        raise ValueError(
            f"{trick} moves and recolours images (C, H, W), but this model's samples have the shape {shape}: use "
            f"model=dcgan, or tricks=[instance_noise], which suits points too, or leave it out (tricks.{trick}=null)."
        )


def _float_type(x: Tensor) -> torch.dtype:
    """Of what is drawn for ``x``."""
    return torch.promote_types(x.dtype, torch.float32)


def _uniform(x: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """``(N, *shape)`` from U(low, high)."""
    return low + (high - low) * torch.rand(len(x), *shape, dtype=_float_type(x), device=x.device)


def _normal(x: Tensor, *shape: int) -> Tensor:
    """``(N, *shape)`` from N(0, 1)."""
    return torch.randn(len(x), *shape, dtype=_float_type(x), device=x.device)


def _whole(x: Tensor, low: int, high: int, *shape: int) -> Tensor:
    """``(N, *shape)`` whole numbers from low to high, both included."""
    return torch.randint(low, high + 1, (len(x), *shape), device=x.device)


def _places(x: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of the rows, ``(H, 1)``, and of the columns, ``(W,)``."""
    height, width = x.shape[2:]
    return torch.arange(height, device=x.device).unsqueeze(1), torch.arange(width, device=x.device)


def _pick(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels in other places: ``(N, H, W)`` numbers of rows and columns, once one is broadcast to the other.

    torch's ``grid_sample`` cannot be differentiated twice, as penalties on the input's gradient need.
    """
    places = (rows * x.shape[3] + columns).flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, places).view(x.shape)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Whole places inside 0 ... size - 1: an image goes on behind its outermost pixels as in a mirror."""
    places = places.remainder(max(2 * (size - 1), 1))
    return torch.minimum(places, 2 * (size - 1) - places)


# DiffAugment


def brightness(x: Tensor) -> Tensor:
    """Adds U(-0.5, 0.5)."""
    return (x + _uniform(x, -0.5, 0.5, 1, 1, 1)).to(x.dtype)


def saturation(x: Tensor) -> Tensor:
    """Multiplies a pixel's distance from its mean over the channels by U(0, 2): grey images stay."""
    mean = x.mean(1, keepdim=True)
    return (mean + (x - mean) * _uniform(x, 0.0, 2.0, 1, 1, 1)).to(x.dtype)


def contrast(x: Tensor) -> Tensor:
    """Multiplies the distance from an image's mean by U(0.5, 1.5)."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + (x - mean) * _uniform(x, 0.5, 1.5, 1, 1, 1)).to(x.dtype)


def translation(x: Tensor) -> Tensor:
    """Shifts by whole pixels, uniform in -round(size / 8) ... round(size / 8) along each axis; 0 comes in."""
    height, width = x.shape[2:]
    rows, columns = _places(x)
    down, right = (int(size / 8 + 0.5) for size in (height, width))
    rows, columns = rows - _whole(x, -down, down, 1, 1), columns - _whole(x, -right, right, 1, 1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return _pick(x, rows.clamp(0, height - 1), columns.clamp(0, width - 1)) * inside.unsqueeze(1)


def cutout(x: Tensor) -> Tensor:
    """Zeroes a rectangle of half of each side, its centre anywhere in the image, so that it may stick out."""
    hidden = torch.ones((), dtype=torch.bool, device=x.device)
    for places, size in zip(_places(x), x.shape[2:], strict=True):
        side = int(size / 2 + 0.5)
        # An even side has its centre between pixels, of which there is one place more.
        first = _whole(x, 0, size - side % 2, 1, 1) - side // 2
        hidden = hidden & (places >= first) & (places < first + side)
    return x * ~hidden.unsqueeze(1)


POLICIES: dict[str, tuple[Augmentation, ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}
"""DiffAugment's (Zhao et al. 2020, arXiv 2006.10738, section 3), by the names of its code."""


def diff_augment(x: Tensor, policy: Sequence[str]) -> Tensor:
    """DiffAugment (arXiv 2006.10738): the augmentations of some ``POLICIES``, one after the other."""
    for name in policy:
        for augment in POLICIES[name]:
            x = augment(x)
    return x


# Consistency regularization


def flip(x: Tensor) -> Tensor:
    """Left and right change places with probability 1/2."""
    return torch.where(_uniform(x, 0.0, 1.0, 1, 1, 1) < 0.5, x.flip(3), x)


def shift_and_flip(x: Tensor) -> Tensor:
    """Flips, then shifts by whole pixels, up to an eighth of each side; a reflection comes in (arXiv 1910.12027)."""
    height, width = x.shape[2:]
    rows, columns = _places(x)
    rows, columns = (
        places - _whole(x, -(size // 8), size // 8, 1, 1) for places, size in ((rows, height), (columns, width))
    )
    return _pick(flip(x), _reflected(rows, height), _reflected(columns, width))


# Adaptive augmentation


def _matrix(*entries: Tensor | float) -> Tensor:
    """``(N, 3, 3)`` from nine entries, ``(N,)`` or the same for all samples."""
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    full = [entry if isinstance(entry, Tensor) else torch.full_like(like, entry) for entry in entries]
    return torch.stack(full, 1).view(-1, 3, 3)


def _sometimes(matrices: Tensor, p: Tensor | float) -> Tensor:
    """Each of ``(N, k, k)`` with probability p, the identity otherwise."""
    applied = _uniform(matrices, 0.0, 1.0, 1, 1) < p
    return torch.where(applied, matrices, torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device))


def _product(matrices: Sequence[Tensor]) -> Tensor:
    """The product of ``(N, k, k)`` matrices. Not by ``matmul``, which autocast and TF32 round."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = (product.unsqueeze(3) * matrix.unsqueeze(1)).sum(2)
    return product


def mirror(x: Tensor) -> Tensor:
    """Left and right change places with probability 1/2."""
    return _matrix(1.0 - 2.0 * _whole(x, 0, 1).to(_float_type(x)), 0, 0, 0, 1, 0, 0, 0, 1)


def _turn(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return _matrix(cos, -sin, 0, sin, cos, 0, 0, 0, 1)


def quarter_turns(x: Tensor) -> Tensor:
    """By 0, 90, 180 or 270 degrees."""
    return _turn(_whole(x, 0, 3).to(_float_type(x)) * (math.pi / 2)).round()


def whole_shift(x: Tensor) -> Tensor:
    """By U(-1/8, 1/8) of each side, rounded to pixels."""
    down, right = (size * _uniform(x, -0.125, 0.125) for size in x.shape[2:])
    return _matrix(1, 0, right.round(), 0, 1, down.round(), 0, 0, 1)


def scaling(x: Tensor) -> Tensor:
    """By 2^N(0, 0.2^2)."""
    scale = torch.exp2(0.2 * _normal(x))
    return _matrix(scale, 0, 0, 0, scale, 0, 0, 0, 1)


def rotation(x: Tensor) -> Tensor:
    """By U(-pi, pi)."""
    return _turn(_uniform(x, -math.pi, math.pi))


def stretching(x: Tensor) -> Tensor:
    """Of the width by s = 2^N(0, 0.2^2), and of the height by 1/s."""
    scale = torch.exp2(0.2 * _normal(x))
    return _matrix(scale, 0, 0, 0, 1 / scale, 0, 0, 0, 1)


def shift(x: Tensor) -> Tensor:
    """By N(0, 1/8^2) of each side."""
    down, right = (size * 0.125 * _normal(x) for size in x.shape[2:])
    return _matrix(1, 0, right, 0, 1, down, 0, 0, 1)


def geometry(x: Tensor, p: Tensor | float) -> Tensor:
    """Pixel blits and geometric transformations of ADA, each with probability p (arXiv 2006.06676, appendix B).

    A rotation comes before the stretching and one after it, each with probability 1 - sqrt(1 - p): one of them at
    least with probability p. Any transformation is as likely as its inverse, so that it does not matter which of the
    two is drawn.

    Returns:
        ``(N, 3, 3)``: from a pixel's place (right, down, 1), the centre at (0, 0), to where its colour comes from.
    """
    turns = 1 - (1 - p) ** 0.5
    steps = [(step, p) for step in (mirror, quarter_turns, whole_shift, scaling)]
    steps += [(rotation, turns), (stretching, p), (rotation, turns), (shift, p)]
    return _product([_sometimes(step(x), chance) for step, chance in steps])


def warp(x: Tensor, matrix: Tensor) -> Tensor:
    """The images with each pixel from the place that :func:`geometry` names.

    Bilinear between pixels, and exact at them; beyond the image its reflection. The paper interpolates between wavelet
    filters at twice the resolution, which blurs less and keeps what shrinks free of aliasing.
    """
    height, width = x.shape[2:]
    rows, columns = _places(x)
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    entries = matrix[:, :, :, None, None].unbind(1)
    columns, rows = (entry[:, 0] * right + entry[:, 1] * down + entry[:, 2] for entry in entries[:2])
    columns, rows = columns + (width - 1) / 2, rows + (height - 1) / 2
    left, top = columns.floor(), rows.floor()
    warped = torch.zeros((), dtype=matrix.dtype, device=x.device)
    for row, vertical in ((top, 1 - (rows - top)), (top + 1, rows - top)):
        for column, horizontal in ((left, 1 - (columns - left)), (left + 1, columns - left)):
            pixels = _pick(x, _reflected(row.long(), height), _reflected(column.long(), width))
            warped = warped + pixels * (vertical * horizontal).unsqueeze(1)
    return warped.to(x.dtype)


def colors(x: Tensor, p: Tensor | float) -> Tensor:
    """Colour transformations of ADA, each with probability p (arXiv 2006.06676, appendix B).

    Brightness + N(0, 0.2^2); contrast times 2^N(0, 0.5^2); luma flip, with probability 1/2; rotation of the hue by
    U(-pi, pi) around the grey axis; saturation times 2^N(0, 1). Hue is for three channels.

    Returns:
        ``(N, C + 1, C + 1)``, of colours (c_1, ..., c_C, 1).
    """
    channels = x.shape[1]
    one = torch.eye(channels + 1, dtype=_float_type(x), device=x.device)
    color, luma, bright, hue = one.clone(), *(torch.zeros_like(one) for _ in range(3))
    color[channels, channels], luma[:channels, :channels], bright[:channels, channels] = 0, 1 / channels, 1
    chroma, rest, three = color - luma, one - color, color[:channels, :channels]
    hue[:channels, :channels] = (three.roll(1, 0) - three.roll(-1, 0)) / math.sqrt(3)
    angle, size = _uniform(x, -math.pi, math.pi, 1, 1), (1, 1)
    steps = [
        one + 0.2 * _normal(x, *size) * bright,
        rest + torch.exp2(0.5 * _normal(x, *size)) * color,
        one - 2 * _whole(x, 0, 1, *size) * luma,
        *([rest + luma + angle.cos() * chroma + angle.sin() * hue] if channels == 3 else []),
        rest + luma + torch.exp2(_normal(x, *size)) * chroma,
    ]
    return _product([_sometimes(step, p) for step in reversed(steps)])


def recolor(x: Tensor, matrix: Tensor) -> Tensor:
    """The images with each pixel's colour transformed by :func:`colors`."""
    channels = x.shape[1]
    matrix = matrix[:, :channels, :, None, None]
    return ((matrix[:, :, :channels] * x.unsqueeze(1)).sum(2) + matrix[:, :, channels]).to(x.dtype)


def ada(x: Tensor, p: Tensor | float) -> Tensor:
    """The pipeline "bgc" of adaptive augmentation: pixel blits, geometry, colour (arXiv 2006.06676, appendix B).

    Args:
        x: ``(N, C, H, W)``; the paper's is 3 channels, others have no hue.
        p: probability of each augmentation, in [0, 1]; at 0 the images come back bit for bit.
    """
    return recolor(warp(x, geometry(x, p)), colors(x, p))
