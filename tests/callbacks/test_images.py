"""Floats to pixels, pixels to grids, pictures to files."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from lit_gans.callbacks.images import (
    GAP,
    LINE_HEIGHT,
    LINES,
    _font,
    animate,
    aside,
    columns_for,
    grid,
    heat,
    plane,
    save,
    to_uint8,
    wrapped,
)


def pixels(picture: Image.Image) -> Tensor:
    """``(C, H, W)`` of a grey or RGB picture."""
    flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return flat.view(picture.height, picture.width, -1).permute(2, 0, 1)


def test_pixels_are_rounded_and_clamped() -> None:
    values = torch.tensor(
        [-1, 1, 0.25, -0.25, -7, 7, math.nan, math.inf, -math.inf, -1 + 1.4 / 127.5, -1 + 1.6 / 127.5]
    )
    expected = [0, 255, 159, 96, 0, 255, 0, 255, 0, 1, 2]
    assert to_uint8(values.view(1, 1, -1)).flatten().tolist() == expected
    assert to_uint8(values.view(1, 1, -1)).dtype == torch.uint8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_comes_back_from_the_floats_that_training_sees(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(levels.to(dtype) / 127.5 - 1), levels)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_grid_shows_every_pixel_as_a_square(channels: int, mode: str) -> None:
    tiles = torch.randint(0, 256, (7, channels, 16, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = grid(tiles, columns=3)
    factor = 15  # 3 * 12 * 15 = 540 is the first width of at least 512
    assert picture.mode == mode
    assert picture.size == (3 * 12 * factor + 4 * 2, 3 * 16 * factor + 4 * 2)
    shown = pixels(picture)
    for index, tile in enumerate(tiles):
        top, left = 2 + index // 3 * (16 * factor + 2), 2 + index % 3 * (12 * factor + 2)
        for corner in (0, factor - 1):
            square = shown[:, top + corner : top + 16 * factor : factor, left + corner : left + 12 * factor : factor]
            assert torch.equal(square, tile)
    assert shown[:, :2].eq(255).all()
    assert shown[:, -10:, -10:].eq(255).all()  # nothing where there is no image


def test_floats_and_their_pixels_make_the_same_grid() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2
    assert grid(images).tobytes() == grid(to_uint8(images)).tobytes()


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 2), (10, 4), (64, 8)])
def test_a_grid_is_square_or_broad(n: int, columns: int) -> None:
    assert columns_for(n) == columns


@pytest.mark.parametrize(("size", "columns", "width"), [(16, 8, 530), (32, 8, 530), (64, 8, 530), (128, 8, 1042)])
def test_small_images_are_enlarged_and_large_ones_left(size: int, columns: int, width: int) -> None:
    assert grid(torch.zeros(64, 1, size, size), columns).width == width


@pytest.mark.parametrize("shape", [(4, 2, 8, 8), (0, 1, 8, 8), (4, 8, 8), (4, 2)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"needs images \(N, 1 or 3, H, W\), got the shape"):
        grid(torch.zeros(shape))


def test_points_are_drawn_over_the_real_ones_in_a_frame_that_stays() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.rand(200, 2, generator=generator), torch.rand(50, 2, generator=generator)
    both, only_real, far = plane(fake, real), plane(None, real), plane(fake + 100, real)
    assert both.size == (1024, 512)

    def coloured(picture: Image.Image) -> int:
        red, green, _ = pixels(picture).int()
        return int((red - green > 60).sum())

    assert coloured(only_real) == coloured(far) == 0
    right = (552, 0, 1024, 512)
    assert far.crop(right).tobytes() == only_real.crop(right).tobytes()
    assert 200 < coloured(both) < 50_000
    assert coloured(plane(fake)) > 200
    assert plane(torch.full((3, 2), math.nan)).size == (1024, 512)
    assert plane(fake[:, :1], real[:, :1]).size == (1024, 512)


def test_the_density_is_that_of_the_fakes_and_its_scale_that_of_the_real_ones() -> None:
    def darkness(picture: Image.Image) -> float:
        left = pixels(picture.crop((50, 20, 490, 490))).float()
        return float(255 - left[0].mean())

    generator = torch.Generator().manual_seed(0)
    real = torch.rand(2000, 2, generator=generator)
    spread, nowhere = plane(real.flip(0), real), plane(real + 50, real)
    # One place that has everything is as dark as can be there, and nowhere else.
    point = plane(torch.full((50, 2), 0.5), real)
    assert darkness(nowhere) + 0.05 < darkness(point) < darkness(spread) - 10


def test_heat_is_a_density_of_gaussians() -> None:
    """At a place at distance d from a single point it is exp(-d^2 / 2w^2), w a hundredth of the frame."""
    frame = (-1.0, 1.0, -1.0, 1.0)
    found = heat(torch.tensor([[0.0, 0.0], [50.0, 0.0]]), frame)
    places = torch.linspace(-1, 1, found.shape[1])
    squares = places[None].square() + places[:, None].square()
    torch.testing.assert_close(found, torch.exp(-squares / (2 * 0.02**2)) / 2, rtol=1e-4, atol=1e-7)
    low = heat(torch.tensor([[0.0, -0.5]]), frame).sum(1)
    assert int(low.argmax()) < len(low) / 2  # the lowest row is the first


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_text("old")

    def fail() -> None:
        with aside(target) as part:
            part.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert target.read_text() == "old"
    picture = grid(torch.zeros(1, 1, 8, 8))
    save(picture, target)
    assert Image.open(target).tobytes() == picture.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def film(folder: Path, n: int, size: int = 16, columns: int = 2) -> list[Path]:
    """Pictures that get lighter."""
    paths = [folder / f"{i:03d}.png" for i in range(n)]
    for i, path in enumerate(paths):
        save(grid(torch.full((4, 1, size, size), i, dtype=torch.uint8), columns), path)
    return paths


def frames(path: Path) -> list[tuple[int, int]]:
    """Shade and duration of each frame."""
    seen = []
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0
        for i in range(picture.n_frames):
            picture.seek(i)
            duration = picture.info["duration"]
            seen.append((picture.convert("L").getpixel((10, 10)), duration))
    return seen


def test_a_film_runs_through_the_pictures_and_rests_on_the_last(tmp_path: Path) -> None:
    animate(film(tmp_path, 5), tmp_path / "a.gif")
    assert frames(tmp_path / "a.gif") == [(0, 250), (1, 250), (2, 250), (3, 250), (4, 2000)]
    animate(film(tmp_path, 1), tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as picture:
        assert picture.n_frames == 1


def test_a_long_film_is_thinned_out_from_the_first_to_the_last(tmp_path: Path) -> None:
    animate(film(tmp_path, 230), tmp_path / "a.gif")
    shades = [shade for shade, _ in frames(tmp_path / "a.gif")]
    assert len(shades) == 100
    assert (shades[0], shades[-1]) == (0, 229)
    assert all(1 <= later - sooner <= 3 for sooner, later in pairwise(shades))


def test_large_and_coloured_pictures_become_a_small_film_that_looks_the_same(tmp_path: Path) -> None:
    ramp = torch.linspace(-1, 1, 64)
    image = torch.stack([ramp.expand(64, 64), ramp.view(-1, 1).expand(64, 64), torch.zeros(64, 64)])
    paths = [tmp_path / "0.png", tmp_path / "1.png"]
    for path, shift in zip(paths, (0.2, 0.0), strict=True):
        save(grid(image.repeat(256, 1, 1, 1) + shift), path)
    animate(paths, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif, Image.open(paths[1]) as last:
        assert gif.width == 768
        gif.seek(1)
        shown, wanted = pixels(gif.convert("RGB")).float(), pixels(last.resize(gif.size, Image.Resampling.BOX)).float()
    assert 0 < float((shown - wanted).abs().mean()) < 12


# Captions


def test_a_caption_stands_under_its_image_and_nowhere_else() -> None:
    images = torch.ones(3, 3, 8, 8)
    bare, told = (pixels(grid(images, 2, captions)) for captions in ([], ["", "red", ""]))
    side = (told.shape[2] - 3 * GAP) // 2
    assert bare.shape[2] == told.shape[2]
    assert told.shape[1] - bare.shape[1] == LINE_HEIGHT  # a line under the first of two rows
    rows, columns = (told.amin(0) < 128).nonzero().unbind(1)
    assert len(rows) > 10
    assert int(rows.min()) >= GAP + side
    assert int(rows.max()) < 2 * GAP + side + LINE_HEIGHT
    assert int(columns.min()) >= 2 * GAP + side


def test_rows_without_a_caption_take_no_room() -> None:
    images = torch.full((6, 3, 128, 128), 100, dtype=torch.uint8)
    told = pixels(grid(images, 2, ["", "", "", "", "red", "a " * 100]))
    bare, captioned = pixels(grid(images[:4], 2)), pixels(grid(images[:2], 2, ["red", "a " * 100]))
    assert torch.equal(told[:, : bare.shape[1]], bare)
    assert torch.equal(told[:, bare.shape[1] - GAP :], captioned)


def test_long_captions_are_wrapped_and_cut() -> None:
    text = "a small red circle at the top left of a large blue background " * 200
    lines = wrapped(text, 128).split("\n")
    assert len(lines) == LINES
    assert lines[-1].endswith("…")
    assert all(0 < _font().getlength(line) <= 128 for line in lines[:-1])
    assert " ".join(lines).startswith("a small red circle at the top left of a large")
    assert wrapped("one", 128) == "one"
    assert wrapped("", 128) == ""


def test_sentences_without_spaces_stay_under_their_image() -> None:
    text = "赤い丸が白い背景の左上にありますそして青い四角が右下にあります"
    lines = wrapped(text, 128).split("\n")
    assert "".join(lines) == text
    assert 1 < len(lines) <= LINES
    assert all(0 < _font().getlength(line) <= 128 for line in lines)
    assert wrapped("w" * 1000, 128).count("\n") == LINES - 1
    black = pixels(grid(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), 2, ["w" * 1000, "-"]))
    assert (black[:, 64 * 4 + GAP :, 64 * 4 + GAP : 64 * 4 + 2 * GAP] == 255).all()  # nothing overhangs


@pytest.mark.parametrize("text", ["ein roter Kreis", "赤い丸", "دائرة حمراء", "🔴", "a\nb\tc"])
def test_captions_in_any_script_are_drawn(text: str) -> None:
    assert grid(torch.zeros(1, 1, 8, 8), 1, [text]).size[1] > grid(torch.zeros(1, 1, 8, 8), 1).size[1]
