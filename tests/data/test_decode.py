"""Files of every kind become pixels of one size."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lit_gans.data.decode import Held, decode, probe

GRADIENT = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    stream.seek(0)
    return stream


def pixels(image: Image.Image, size: int = 16, channels: int = 3, kind: str = "PNG", **options: Any) -> Tensor:
    decoded, _ = decode(file(image, kind, **options), size, channels)
    assert decoded.dtype == torch.uint8
    assert decoded.shape == (channels, size, size)
    return decoded


def grey(values: np.ndarray) -> list[Any]:
    return np.stack([values] * 3).tolist()


# Kinds


def test_rgb_of_the_right_size_is_untouched() -> None:
    assert pixels(Image.fromarray(COLOURS)).tolist() == COLOURS.transpose(2, 0, 1).tolist()


def test_grey_becomes_three_equal_channels_and_colours_become_luma() -> None:
    assert pixels(Image.fromarray(GRADIENT)).tolist() == grey(GRADIENT)
    luma = np.array(Image.fromarray(COLOURS).convert("L"))
    assert pixels(Image.fromarray(COLOURS), channels=1).tolist() == [luma.tolist()]


def test_transparent_pixels_are_on_white() -> None:
    for opacity, expected in [(0, 255), (255, 40), (128, 40 * 128 / 255 + 255 * 127 / 255)]:
        for mode, colour in [("RGBA", (40, 40, 40, opacity)), ("LA", (40, opacity))]:
            seen = pixels(Image.new(mode, (16, 16), colour)).float()
            assert (seen - expected).abs().max() <= 1


def test_palettes_and_their_transparent_colour() -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    assert pixels(image)[:, 3, 3].tolist() == [200, 100, 50]
    assert pixels(image, transparency=1)[:, 3, 3].tolist() == [255, 255, 255]
    assert pixels(image, kind="GIF")[:, 3, 3].tolist() == [200, 100, 50]


def test_one_bit() -> None:
    bits = GRADIENT > 99
    assert pixels(Image.fromarray(bits)).tolist() == grey(bits.astype(np.uint8) * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    deep = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    expected = np.round(deep / 257).astype(np.uint8)
    assert pixels(Image.fromarray(deep), kind=kind).tolist() == grey(expected)
    assert pixels(Image.fromarray(deep.astype(np.int32)), kind="TIFF").tolist() == grey(expected)


def test_floating_point_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="32-bit floating point pixels have no agreed range: save it with 8 or 16 bit"):
        pixels(Image.fromarray(GRADIENT.astype(np.float32)), kind="TIFF")


def test_cmyk() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        seen = pixels(image, kind=kind)[:, 8, 8].float()
        assert (seen - torch.tensor([0.0, 255.0, 255.0])).abs().max() <= 3


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "PPM", "TGA", "TIFF"])
def test_formats(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert pixels(Image.fromarray(COLOURS), kind=kind, **options).tolist() == COLOURS.transpose(2, 0, 1).tolist()


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    assert pixels(frames[0], kind="GIF", save_all=True, append_images=frames[1:])[:, 0, 0].tolist() == [255, 0, 0]


# Geometry


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.T),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].T),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation(orientation: int, turned: Any) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    assert pixels(Image.fromarray(GRADIENT), exif=exif).tolist() == grey(turned(GRADIENT))
    see_through = Image.fromarray(np.stack([GRADIENT, np.full_like(GRADIENT, 255)], axis=2), "LA")
    assert pixels(see_through, exif=exif).tolist() == grey(turned(GRADIENT))
    deep = Image.fromarray(GRADIENT.astype(np.uint16) * 257)
    assert pixels(deep, exif=exif).tolist() == grey(turned(GRADIENT))


def test_the_middle_square_is_kept() -> None:
    for height, width in [(16, 40), (40, 16), (16, 17), (19, 16)]:
        values = np.random.default_rng(1).integers(0, 256, (height, width), dtype=np.uint8)
        top, left = (height - 16) // 2, (width - 16) // 2
        assert pixels(Image.fromarray(values)).tolist() == grey(values[top : top + 16, left : left + 16])


def test_shrinking_is_antialiased_and_growing_smooth() -> None:
    stripes = np.zeros((64, 96), dtype=np.uint8)
    stripes[:, ::2] = 255
    seen = pixels(Image.fromarray(stripes), 8)[..., 1:-1].float()
    assert seen.mean().item() == pytest.approx(127.5, abs=3)
    assert seen.std().item() < 5
    grown = pixels(Image.fromarray(GRADIENT), 64)[0].float()
    assert grown.diff(dim=1).abs().max() < 40


def test_one_pixel_is_enough() -> None:
    assert (pixels(Image.new("RGB", (1, 1), (9, 8, 7)), 4)[0] == 9).all()


def test_a_huge_jpeg_is_decoded_smaller_with_the_same_result() -> None:
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    photograph = Image.fromarray(
        np.stack([np.tile(ramp, (1024, 1)), np.tile(ramp[:, None], (1, 1024))] * 2, 2)[..., :3]
    )
    whole = torch.from_numpy(
        np.asarray(photograph.resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1).copy()
    )
    assert (pixels(photograph, kind="JPEG", quality=95).float() - whole.float()).abs().max() <= 3


# What is held


def test_size_and_mode_are_told_as_they_are_in_the_file() -> None:
    for image in (Image.new("L", (30, 20)), Image.new("RGBA", (5, 7)), Image.new("P", (16, 16))):
        expected = Held(*image.size, image.mode)
        assert decode(file(image), 8, 3)[1] == probe(file(image)) == expected


def test_damaged_files_raise() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "BMP"):
        content = file(Image.fromarray(np.tile(COLOURS, (8, 8, 1))), kind).getvalue()
        for part in (content[: len(content) // 2], content[:10], b"", b"not an image"):
            with pytest.raises(
                Exception, match=r"(?i)truncated|identify|broken|decode|unpack|reading|premature|failed"
            ):
                decode(io.BytesIO(part), 16, 3)
