"""Samples as pictures: the one place where floats become pixels."""

import io
import math
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import pad

GAP, WHITE = 2, 255
MIN_WIDTH = 512
MAX_FRAMES, MAX_GIF_WIDTH = 100, 768
CAPTION_WIDTH, MARGIN, LINE_HEIGHT, LINES, LONGEST = 128, 10, 12, 4, 400
"""Of captions: pixels that one has at least, free ones at its right, of a line, lines at most, characters looked at."""
Frame = tuple[float, float, float, float]
"""Left, right, bottom, top."""
MOST_NUMBERS = 30
"""Classes of a confusion matrix whose numbers can be read."""
CELLS = 230  # of a density, along each side: two pixels each


def to_uint8(images: Tensor) -> Tensor:
    """Pixels 0..255 of images in [-1, 1]: rounded, what is outside clamped, NaN black.

    Args:
        images: ``(..., C, H, W)``, any float type.
    """
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).nan_to_num(0).to(torch.uint8)


def columns_for(n: int) -> int:
    """The number of columns that makes a grid of ``n`` square, or broader than high."""
    return math.ceil(math.sqrt(n))


def grid(images: Tensor, columns: int | None = None, captions: Sequence[str] = ()) -> Image.Image:
    """The images row by row, small ones enlarged by a whole factor so that every pixel stays a sharp square.

    Args:
        images: ``(N, C, H, W)`` with C = 1 or 3, uint8 or floats in [-1, 1].
        columns: images in a row; a square grid if not given.
        captions: what is written under each image, cut after a few lines; a row of empty ones takes no room.

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
    least = max(MIN_WIDTH, columns * CAPTION_WIDTH) if captions else MIN_WIDTH
    factor = max(1, -(-least // (columns * images.shape[3])))
    tiles = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    texts = [wrapped(caption, tiles.shape[3] - MARGIN) for caption in captions]
    lines = [text.count("\n") + 1 if text else 0 for text in texts]
    bands = [LINE_HEIGHT * max(lines[row * columns :][:columns], default=0) for row in range(rows)]
    height, width = tiles.shape[2], tiles.shape[3] + GAP
    tops = list(accumulate((height + band + GAP for band in bands), initial=GAP))
    sheet = torch.full((images.shape[1], tops[-1], columns * width + GAP), WHITE, dtype=torch.uint8)
    for index, tile in enumerate(tiles):
        top, left = tops[index // columns], GAP + index % columns * width
        sheet[:, top : top + height, left : left + width - GAP] = tile
    picture = Image.fromarray((sheet[0] if len(sheet) == 1 else sheet.permute(1, 2, 0)).contiguous().numpy())
    draw = ImageDraw.Draw(picture)
    for index, text in enumerate(texts):
        for line, words in enumerate(text.split("\n")):
            place = GAP + index % columns * width, tops[index // columns] + height + line * LINE_HEIGHT
            draw.text(place, words, fill=0, font=_font())
    return picture


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(LINE_HEIGHT - 2)


def wrapped(text: str, width: int) -> str:
    """The text in lines of at most so many pixels, cut after :data:`LINES`."""
    lines = [""]
    for word in (part for whole in text[:LONGEST].split() for part in parts(whole, width)):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font().getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1]} …"])


def parts(word: str, width: int) -> list[str]:
    """A word in parts of at most so many pixels: in many scripts a whole sentence is one."""
    fit = max(1, bisect_right(range(1, len(word) + 1), float(width), key=lambda n: _font().getlength(word[:n])))
    return [word[:fit], *parts(word[fit:], width)] if word else []


def plane(fake: Tensor | None, real: Tensor | None = None, centres: Tensor | None = None) -> Image.Image:
    """Points in the plane: on the left their density with the true centres in it, on the right the points themselves.

    The density is a sum of Gaussians as wide as a hundredth of the frame, shown by the square root. The real points, if
    any, are grey behind the coloured fakes, fix the frame, and set the scale: the darkest shade is their own highest
    density, and all above it.

    Args:
        fake: ``(N, 2)``, or ``(N, 1)`` for points on a line.
        real: ``(M, 2)`` or ``(M, 1)``; what is shown if there is no ``fake``.
        centres: of the true modes, ``(K, 2)`` or ``(K, 1)``.

    Returns:
        An RGB picture of 1024 by 512 pixels.
    """
    # Imported late: it takes half a second, and only points need it. The figure is not pyplot's, so no state is shared.
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.24, 5.12), dpi=100)
    density, scatter = (figure.add_axes((edge, 0.06, 0.45, 0.9)) for edge in (0.04, 0.54))
    clouds = [flat(points) for points in (real, fake) if points is not None]
    frame = window(clouds[0])
    scale = PowerNorm(0.5, 0, float(heat(clouds[0], frame).max()))
    shades = heat(clouds[-1], frame).numpy()
    density.imshow(shades, "Greens", scale, interpolation="nearest", extent=frame, origin="lower")
    density.set(xticks=[], yticks=[])
    if centres is not None:
        x, y = flat(centres).numpy().T
        density.scatter(x, y, s=60, facecolors="none", edgecolors="#b8b8b8", linewidths=0.8)
    scatter.set(xlim=frame[:2], ylim=frame[2:])
    for points, colour, alpha in ((real, "#b8b8b8", 1.0), (fake, "#d1495b", 0.7)):
        if points is not None:
            x, y = flat(points).numpy().T
            scatter.scatter(x, y, s=6, c=colour, alpha=alpha, linewidths=0)
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png")
    return Image.open(pixels).convert("RGB")


def confusion_matrix(counts: Tensor, names: Sequence[str]) -> Image.Image:
    """How many samples of each class, by row, were taken for which, by column; shaded by their share of the row.

    Args:
        counts: ``(K, K)``, whole numbers.
        names: of the classes; of any others, their numbers.

    Returns:
        An RGB picture.
    """
    from matplotlib.figure import Figure  # imported late, as in `plane`

    size = len(counts)
    labels = [*names, *(str(number) for number in range(len(names), size))]
    figure = Figure(figsize=(0.55 * size + 2.2, 0.5 * size + 1.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    shares = (counts / counts.sum(1, keepdim=True).clamp_min(1)).numpy()
    axes.imshow(shares, "Greens", vmin=0, vmax=1, aspect="auto")
    axes.set(xlabel="taken for", ylabel="class", xticks=range(size), yticks=range(size))
    axes.set_xticklabels(labels, rotation=90)
    axes.set_yticklabels(labels)
    for row in range(size if size <= MOST_NUMBERS else 0):
        for column in range(size):
            colour = "white" if shares[row, column] > 0.5 else "#333333"
            axes.text(column, row, f"{int(counts[row, column]):,}", ha="center", va="center", color=colour, fontsize=8)
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png")
    return Image.open(pixels).convert("RGB")


def flat(points: Tensor) -> Tensor:
    """Points on a line or in the plane as ``(N, 2)`` float32 on the CPU, NaN at 0."""
    return pad(points.detach().cpu().float().nan_to_num(), (0, 2 - points.shape[1]))


def window(points: Tensor) -> Frame:
    """A square around points ``(N, 2)``, with room at its sides."""
    low, high = points.amin(0), points.amax(0)
    reach = 0.7 * float((high - low).max()) or 1.0
    x, y = ((low + high) / 2).tolist()
    return x - reach, x + reach, y - reach, y + reach


def heat(points: Tensor, frame: Frame) -> Tensor:
    """The mean density of points ``(N, 2)`` at 230 by 230 places of a frame, the lowest row first.

    Args:
        points: anywhere.
        frame: of the places.
    """
    left, right, bottom, top = frame
    width = (right - left) / 100
    columns, rows = torch.linspace(left, right, CELLS), torch.linspace(bottom, top, CELLS)
    across, along = (
        torch.exp(-((places[:, None] - points[:, axis]) / width).square() / 2)
        for axis, places in enumerate((columns, rows))
    )
    return along @ across.T / len(points)


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
