"""An image file, whatever is in it, as pixels of one size."""

from typing import IO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

BACKGROUND = (255, 255, 255, 255)
"""What shows through transparent pixels: white."""
SIXTEEN_BITS = 65535 / 255  # to 8


class Held(NamedTuple):
    """What an image file holds, before anything is done to it."""

    width: int
    height: int
    mode: str


def decode(file: IO[bytes], size: int, channels: int) -> tuple[Tensor, Held]:
    """One image: turned as its EXIF orientation says, on white where transparent, resized, the middle cut out.

    The shorter side becomes ``size`` (bicubic, antialiased), then the middle square is kept. Of an animation the first
    frame; 16 bits are scaled to 8.

    Args:
        file: an open image file of any format that Pillow reads.
        size: pixels of a side of what comes out.
        channels: 1 for grey, 3 for RGB.

    Returns:
        ``(channels, size, size)`` uint8, and what the file held.

    Raises:
        Exception: of many kinds, if the file is no whole image.
    """
    with Image.open(file) as image:
        held = Held(image.width, image.height, image.mode)
        # A JPEG many times too large need not be decoded in full. No effect on other formats.
        image.draft(None, (2 * size, 2 * size))
        picture = fitted(plain(ImageOps.exif_transpose(image)), size)
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB")).reshape(size, size, channels)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), held


def probe(file: IO[bytes]) -> Held:
    """What an image file holds by its header."""
    with Image.open(file) as image:
        return Held(image.width, image.height, image.mode)


def plain(image: Image.Image) -> Image.Image:
    """The image as 8-bit grey or RGB without transparency.

    Raises:
        ValueError: if its numbers have no known range.
    """
    if image.mode == "F":
        raise ValueError("32-bit floating point pixels have no agreed range: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        numbers = np.asarray(image).astype(np.float64) / SIXTEEN_BITS
        return Image.fromarray(numbers.round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def fitted(image: Image.Image, size: int) -> Image.Image:
    """The middle square of the image, its side resized to ``size``."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
