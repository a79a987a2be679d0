"""Samples as pictures: the one place where floats become pixels."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

GAP, WHITE = 2, 255
MIN_WIDTH = 512
MAX_FRAMES, MAX_GIF_WIDTH = 100, 768


def to_uint8(images: Tensor) -> Tensor:
    """Pixels 0..255 of images in [-1, 1]: rounded, what is outside clamped, NaN black.

    Args:
        images: ``(..., C, H, W)``, any float type.
    """
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).nan_to_num(0).to(torch.uint8)


def columns_for(n: int) -> int:
    """The number of columns that makes a grid of ``n`` square, or broader than high."""
    return math.ceil(math.sqrt(n))


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """The images row by row, small ones enlarged by a whole factor so that every pixel stays a sharp square.

    Args:
        images: ``(N, C, H, W)`` with C = 1 or 3, uint8 or floats in [-1, 1].
        columns: images in a row; a square grid if not given.

    Returns:
        A grey or RGB picture, at least 512 pixels wide where a full row has so many images and pixels to enlarge.

    Raises:
        ValueError: if the tensor cannot be shown.
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"A grid needs images (N, 1 or 3, H, W), got the shape {tuple(images.shape)}.")
    images = (to_uint8(images) if images.is_floating_point() else images).detach().cpu()
    columns = columns or columns_for(len(images))
    rows = -(-len(images) // columns)
    factor = max(1, -(-MIN_WIDTH // (columns * images.shape[3])))
    tiles = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    height, width = tiles.shape[2] + GAP, tiles.shape[3] + GAP
    sheet = torch.full((images.shape[1], rows * height + GAP, columns * width + GAP), WHITE, dtype=torch.uint8)
    for index, tile in enumerate(tiles):
        top, left = GAP + index // columns * height, GAP + index % columns * width
        sheet[:, top : top + height - GAP, left : left + width - GAP] = tile
    return Image.fromarray((sheet[0] if len(sheet) == 1 else sheet.permute(1, 2, 0)).contiguous().numpy())


def scatter(fake: Tensor | None, real: Tensor | None = None) -> Image.Image:
    """Points in the plane, the real ones grey behind the coloured fakes; the real ones, if any, fix the frame.

    Args:
        fake: ``(N, 2)``.
        real: ``(M, 2)``.

    Returns:
        An RGB picture of 512 by 512 pixels.
    """
    # Imported late: it takes half a second, and only points need it. The figure is not pyplot's, so no state is shared.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.12, 5.12), dpi=100)
    axes = figure.add_axes((0.08, 0.06, 0.9, 0.9))
    layers = [(real, "#b8b8b8", 1.0), (fake, "#d1495b", 0.7)]
    clouds = [
        (points.detach().cpu().float().nan_to_num(), colour, alpha)
        for points, colour, alpha in layers
        if points is not None
    ]
    low, high = clouds[0][0].amin(0), clouds[0][0].amax(0)
    reach = 0.7 * float((high - low).max()) or 1.0
    x, y = ((low + high) / 2).tolist()
    axes.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach))
    for points, colour, alpha in clouds:
        axes.scatter(points[:, 0].numpy(), points[:, 1].numpy(), s=6, c=colour, alpha=alpha, linewidths=0)
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png")
    return Image.open(pixels).convert("RGB")


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A name to write under; once whole, the file takes the place of ``path``: nobody ever reads half of it."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save(picture: Image.Image, path: Path) -> None:
    """Writes a PNG."""
    with aside(path) as part:
        picture.save(part, format="PNG")


def animate(paths: Sequence[Path], target: Path) -> None:
    """Writes a GIF that runs through pictures, evenly chosen if there are many, and rests on the last.

    Args:
        paths: of the pictures, the oldest first.
        target: of the GIF, at most 100 frames and 768 pixels wide.
    """
    count = min(len(paths), MAX_FRAMES)
    chosen = [paths[round(i * (len(paths) - 1) / max(1, count - 1))] for i in range(count)]
    with Image.open(chosen[-1]) as last:
        shrink = min(1.0, MAX_GIF_WIDTH / last.width)
        size = (round(last.width * shrink), round(last.height * shrink))
    frames = [_frame(path, size) for path in chosen]
    durations = [max(40, min(250, 8000 // count))] * (count - 1) + [2000]
    with aside(target) as part:
        frames[0].save(part, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _frame(path: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(path) as picture:
        fitted = picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)
        if fitted.mode == "L":
            return fitted.copy()
        # A palette from a sixteenth of the pixels looks the same as one from all, eight times sooner.
        few = fitted.resize((-(-size[0] // 4), -(-size[1] // 4)), Image.Resampling.NEAREST)
        return fitted.quantize(palette=few.quantize(256), dither=Image.Dither.NONE)
