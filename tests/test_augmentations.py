"""Augmentations: exact ranges, closed forms, one draw a sample, derivatives of both orders."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from lit_gans import augmentations as aug

MANY = 20000
ALL: dict[str, aug.Augmentation] = {
    "brightness": aug.brightness,
    "saturation": aug.saturation,
    "contrast": aug.contrast,
    "translation": aug.translation,
    "cutout": aug.cutout,
    "flip": aug.flip,
    "shift_and_flip": aug.shift_and_flip,
    "diff_augment": lambda x: aug.diff_augment(x, list(aug.POLICIES)),
    "ada": lambda x: aug.ada(x, 0.8),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def numbered(n: int, height: int, width: int, channels: int = 1) -> Tensor:
    """Images whose pixels all differ, and none is 0; all samples alike."""
    one = torch.arange(1.0, 1 + channels * height * width).view(1, channels, height, width)
    return one.expand(n, -1, -1, -1).clone()


def check_uniform(values: Tensor, low: float, high: float) -> None:
    """Many draws of U(low, high): ends that are reached and not passed, mean and variance."""
    width = high - low
    assert low <= float(values.min()) < low + 0.005 * width
    assert high - 0.005 * width < float(values.max()) <= high
    assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.01 * width)
    assert float(values.var()) == pytest.approx(width**2 / 12, rel=0.03)


def check_normal(values: Tensor, std: float) -> None:
    assert float(values.mean()) == pytest.approx(0, abs=0.03 * std)
    assert float(values.std()) == pytest.approx(std, rel=0.03)
    assert float((values.abs() > 2 * std).float().mean()) == pytest.approx(0.0455, abs=0.006)


def check_counts(values: Tensor, expected: dict[float, float]) -> None:
    """Values, with their shares."""
    found, counts = values.unique(return_counts=True)
    assert found.tolist() == sorted(expected)
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        assert count / len(values) == pytest.approx(expected[value], abs=0.02)


# DiffAugment


def test_brightness_adds_one_number_to_a_sample() -> None:
    added = aug.brightness(x := numbered(MANY, 2, 2, 3)) - x
    assert torch.allclose(added, added[:, :1, :1, :1].expand_as(added), atol=1e-5)
    check_uniform(added[:, 0, 0, 0], -0.5, 0.5)


def test_saturation_scales_the_distance_from_the_grey_of_a_pixel() -> None:
    x = torch.randn(1, 3, 2, 2).expand(MANY, -1, -1, -1)
    grey = x.mean(1, keepdim=True)
    y = aug.saturation(x)
    torch.testing.assert_close(y.mean(1, keepdim=True), grey, atol=1e-5, rtol=0)
    factors = (y - grey) / (x - grey)
    torch.testing.assert_close(factors, factors[:, :1, :1, :1].expand_as(factors), atol=1e-3, rtol=1e-3)
    check_uniform(factors[:, 0, 0, 0], 0.0, 2.0)
    single = torch.randn(8, 1, 4, 4)
    assert torch.equal(aug.saturation(single), single)


def test_contrast_scales_the_distance_from_the_mean_of_an_image() -> None:
    x = torch.randn(1, 3, 2, 2).expand(MANY, -1, -1, -1)
    mean = x.mean((1, 2, 3), keepdim=True)
    y = aug.contrast(x)
    torch.testing.assert_close(y.mean((1, 2, 3), keepdim=True), mean, atol=1e-5, rtol=0)
    factors = (y - mean) / (x - mean)
    torch.testing.assert_close(factors, factors[:, :1, :1, :1].expand_as(factors), atol=1e-3, rtol=1e-3)
    check_uniform(factors[:, 0, 0, 0], 0.5, 1.5)


def shifted(image: Tensor, down: int, right: int) -> Tensor:
    """By a loop over the pixels; 0 comes in."""
    out = torch.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                out[:, row, column] = image[:, row - down, column - right]
    return out


@pytest.mark.parametrize(("height", "width", "down", "right"), [(16, 16, 2, 2), (8, 28, 1, 4), (3, 4, 0, 1)])
def test_translation_is_uniform_over_whole_shifts(height: int, width: int, down: int, right: int) -> None:
    x = numbered(MANY, height, width, 2)
    y = aug.translation(x)
    possible = [shifted(x[0], d, r) for d in range(-down, down + 1) for r in range(-right, right + 1)]
    counts = [int((y == image).flatten(1).all(1).sum()) for image in possible]
    assert sum(counts) == MANY
    assert min(counts) / MANY == pytest.approx(1 / len(possible), rel=0.25)
    assert max(counts) / MANY == pytest.approx(1 / len(possible), rel=0.25)


def spans(size: int) -> list[range]:
    """Where half of a side can lie that has its centre in the image."""
    half = int(size / 2 + 0.5)
    centres = size + 1 if half % 2 == 0 else size  # between pixels, or in them
    return [range(max(0, c - half // 2), min(size, c - half // 2 + half)) for c in range(centres)]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 6), (7, 5), (1, 2)])
def test_cutout_is_uniform_over_the_places_of_its_centre(height: int, width: int) -> None:
    x = numbered(MANY, height, width, 2)
    y = aug.cutout(x)
    hidden = (y == 0).flatten(1)
    assert torch.equal(y[y != 0], x[y != 0])
    expected: dict[tuple[bool, ...], int] = {}
    for rows in spans(height):
        for columns in spans(width):
            mask = torch.zeros(2, height, width, dtype=torch.bool)
            mask[:, rows.start : rows.stop, columns.start : columns.stop] = True
            key = tuple(mask.flatten().tolist())
            expected[key] = expected.get(key, 0) + 1
    total = sum(expected.values())
    assert total == len(spans(height)) * len(spans(width))
    found = 0
    for key, ways in expected.items():
        count = int((hidden == torch.tensor(key)).all(1).sum())
        assert count / MANY == pytest.approx(ways / total, rel=0.35)
        found += count
    assert found == MANY


def test_cutout_hides_a_quarter_where_it_does_not_stick_out() -> None:
    hidden = (aug.cutout(torch.ones(1000, 1, 16, 16)) == 0).sum((1, 2, 3))
    assert int(hidden.max()) == 64
    assert int(hidden.min()) == 16


def test_policies_are_applied_one_after_the_other() -> None:
    x = torch.randn(3, 3, 8, 8)
    torch.manual_seed(1)
    expected = aug.cutout(aug.translation(aug.contrast(aug.saturation(aug.brightness(x)))))
    torch.manual_seed(1)
    assert torch.equal(aug.diff_augment(x, ["color", "translation", "cutout"]), expected)
    torch.manual_seed(1)
    expected = aug.translation(aug.cutout(x))
    torch.manual_seed(1)
    assert torch.equal(aug.diff_augment(x, ["cutout", "translation"]), expected)
    assert aug.diff_augment(x, []) is x


# Consistency regularization


def test_half_of_the_samples_are_flipped() -> None:
    x = numbered(MANY, 2, 3, 2)
    y = aug.flip(x)
    flipped = (y == x.flip(3)).all(3).all(2).all(1)
    assert torch.equal(y[~flipped], x[~flipped])
    assert float(flipped.float().mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 31)])
def test_shift_and_flip_is_a_crop_of_the_reflected_image(height: int, width: int) -> None:
    x = numbered(MANY, height, width, 2)
    y = aug.shift_and_flip(x).flatten(1)
    down, right = height // 8, width // 8
    found = 0
    options = 2 * (2 * down + 1) * (2 * right + 1)
    for image in (x[0], x[0].flip(2)):
        wide = pad(image[None], (right, right, down, down), mode="reflect")[0]
        for d in range(2 * down + 1):
            for r in range(2 * right + 1):
                crop = wide[:, d : d + height, r : r + width].flatten()
                count = int((y == crop).all(1).sum())
                assert count / MANY == pytest.approx(1 / options, rel=0.3)
                found += count
    assert found == MANY


# Adaptive augmentation: geometry


def test_mirror_and_quarter_turns() -> None:
    x = torch.zeros(MANY, 1, 2, 2)
    matrices = aug.mirror(x)
    check_counts(matrices[:, 0, 0], {-1.0: 0.5, 1.0: 0.5})
    matrices[:, 0, 0] = 1
    assert torch.equal(matrices, torch.eye(3).expand(MANY, 3, 3))
    turns = aug.quarter_turns(x)
    check_counts(turns[:, 0, 0] + 3 * turns[:, 1, 0], {1.0: 0.25, 3.0: 0.25, -1.0: 0.25, -3.0: 0.25})
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(MANY, 3, 3), rtol=0, atol=0)
    assert torch.equal(turns.det(), torch.ones(MANY))


def test_shifts() -> None:
    x = torch.zeros(MANY, 1, 8, 32)
    whole = aug.whole_shift(x)
    check_counts(whole[:, 1, 2], {-1.0: 0.25, 0.0: 0.5, 1.0: 0.25})
    inner = dict.fromkeys(map(float, range(-3, 4)), 0.125)
    check_counts(whole[:, 0, 2], {**inner, -4.0: 0.0625, 4.0: 0.0625})
    free = aug.shift(x)
    check_normal(free[:, 1, 2], 1.0)
    check_normal(free[:, 0, 2], 4.0)
    assert abs(float(torch.corrcoef(free[:, :2, 2].T)[0, 1])) < 0.03
    for matrices in (whole, free):
        matrices[:, :2, 2] = 0
        assert torch.equal(matrices, torch.eye(3).expand(MANY, 3, 3))


def test_scaling_rotation_stretching() -> None:
    x = torch.zeros(MANY, 1, 2, 2)
    scales, turns, stretches = aug.scaling(x), aug.rotation(x), aug.stretching(x)
    check_normal(scales[:, 0, 0].log2(), 0.2)
    check_normal(stretches[:, 0, 0].log2(), 0.2)
    assert torch.equal(scales[:, 0, 0], scales[:, 1, 1])
    torch.testing.assert_close(stretches[:, 0, 0] * stretches[:, 1, 1], torch.ones(MANY))
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0])
    check_uniform(angles, -math.pi, math.pi)
    cos, sin, one, zero = angles.cos(), angles.sin(), torch.ones(MANY), torch.zeros(MANY)
    expected = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).view(-1, 3, 3)
    torch.testing.assert_close(turns, expected, rtol=0, atol=1e-5)
    for matrices in (scales, stretches):
        assert torch.equal(matrices, torch.diag_embed(torch.diagonal(matrices, dim1=1, dim2=2)))
        assert torch.equal(matrices[:, 2, 2], torch.ones(MANY))


STEPS = ("mirror", "quarter_turns", "whole_shift", "scaling", "rotation", "stretching", "shift")
Patch = pytest.MonkeyPatch


def constant(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: matrix.expand(len(x), -1, -1)


def test_geometry_is_the_product_in_the_order_of_the_paper(monkeypatch: Patch) -> None:
    matrices = {name: torch.randn(3, 3).double() for name in STEPS}
    for name, matrix in matrices.items():
        monkeypatch.setattr(aug, name, constant(matrix))
    order = ("mirror", "quarter_turns", "whole_shift", "scaling", "rotation", "stretching", "rotation", "shift")
    expected = torch.eye(3).double()
    for name in order:
        expected = expected @ matrices[name]
    found = aug.geometry(torch.zeros(3, 1, 2, 2).double(), 1.0)
    torch.testing.assert_close(found, expected.expand(3, 3, 3), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("p", [0.3, torch.tensor(0.8)])
def test_each_step_of_the_geometry_has_the_probability_p(name: str, p: float | Tensor, monkeypatch: Patch) -> None:
    for step in STEPS:
        monkeypatch.setattr(aug, step, constant(torch.eye(3) * (2 if step == name else 1)))
    found = aug.geometry(torch.zeros(MANY, 1, 2, 2), p)[:, 0, 0]
    p = float(p)
    once, twice = p, 0.0
    if name == "rotation":  # before the stretching, after it, or both
        each = 1 - math.sqrt(1 - p)
        once, twice = 2 * each * (1 - each), each**2
        assert once + twice == pytest.approx(p)
    check_counts(found, {1.0: 1 - once - twice, 2.0: once, **({4.0: twice} if twice else {})})


def test_steps_are_drawn_apart(monkeypatch: Patch) -> None:
    """Whether a step is applied to a sample says nothing about another step or sample."""
    for step in STEPS:
        monkeypatch.setattr(aug, step, constant(torch.eye(3)))
    monkeypatch.setattr(aug, "mirror", constant(torch.diag(torch.tensor([2.0, 1, 1]))))
    monkeypatch.setattr(aug, "scaling", constant(torch.diag(torch.tensor([1.0, 2, 1]))))
    found = aug.geometry(torch.zeros(MANY, 1, 2, 2), 0.5)
    first, second = found[:, 0, 0], found[:, 1, 1]
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([first[1:], first[:-1]]))[0, 1])) < 0.03


def affine(*entries: float) -> Tensor:
    return torch.tensor([[*entries[:3]], [*entries[3:]], [0.0, 0, 1]]).double().unsqueeze(0)


def test_warps_by_whole_pixels_are_exact() -> None:
    x = torch.randn(1, 2, 6, 6).double()
    assert torch.equal(aug.warp(x, affine(1, 0, 0, 0, 1, 0)), x)
    assert torch.equal(aug.warp(x, affine(-1, 0, 0, 0, 1, 0)), x.flip(3))
    assert torch.equal(aug.warp(x, affine(0, -1, 0, 1, 0, 0)), x.transpose(2, 3).flip(2))
    reflected = pad(x, (2, 2, 1, 1), mode="reflect")
    assert torch.equal(aug.warp(x, affine(1, 0, 2, 0, 1, -1)), reflected[:, :, :6, 4:])
    halves = aug.warp(x, affine(1, 0, 0.5, 0, 1, 0))[..., :5]
    torch.testing.assert_close(halves, (x[..., :5] + x[..., 1:]) / 2, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 8), (1, 3)])
def test_warp_equals_grid_sample_with_reflection(height: int, width: int) -> None:
    x = torch.randn(64, 3, height, width).double()
    matrix = aug.geometry(x, 1.0)
    right, down = (
        torch.arange(width).double() - (width - 1) / 2,
        torch.arange(height).double().unsqueeze(1) - (height - 1) / 2,
    )
    places = torch.stack([right.expand(height, width), down.expand(height, width), torch.ones(height, width)], 2)
    sources = torch.einsum("nij,hwj->nhwi", matrix, places.double())[..., :2]
    size = torch.tensor([max(width - 1, 1), max(height - 1, 1)]).double()
    expected = grid_sample(x, 2 * sources / size, padding_mode="reflection", align_corners=True)
    torch.testing.assert_close(aug.warp(x, matrix), expected, rtol=1e-9, atol=1e-9)


# Adaptive augmentation: colour


def drawn_colors(x: Tensor, p: float | Tensor, monkeypatch: Patch) -> tuple[list[Tensor], list[float | Tensor]]:
    """The matrices of single steps and their probabilities, in the order in which they are applied."""
    steps: list[Tensor] = []
    chances: list[float | Tensor] = []

    def record(step: Tensor, chance: float | Tensor) -> Tensor:
        steps.insert(0, step)
        chances.insert(0, chance)
        return step

    with monkeypatch.context() as patch:
        patch.setattr(aug, "_sometimes", record)
        product = aug.colors(x, p)
    expected = torch.eye(x.shape[1] + 1, dtype=x.dtype)
    for step in steps:
        expected = step @ expected
    torch.testing.assert_close(product, expected, rtol=1e-9, atol=1e-9)
    return steps, chances


def test_each_step_of_the_colours_is_the_formula_of_the_paper(monkeypatch: Patch) -> None:
    (bright, contrast, luma, hue, saturation), chances = drawn_colors(
        torch.zeros(MANY, 3, 1, 1).double(), 0.7, monkeypatch
    )
    assert chances == [0.7] * 5
    one, v = torch.eye(4).double(), torch.tensor([1.0, 1, 1, 0]).double() / math.sqrt(3)
    grey = torch.outer(v, v)

    added = bright[:, 0, 3]
    check_normal(added, 0.2)
    move = torch.zeros(4, 4).double()
    move[:3, 3] = 1
    torch.testing.assert_close(bright, one + added.view(-1, 1, 1) * move)

    check_normal(contrast[:, 0, 0].log2(), 0.5)
    factor = contrast[:, 0, 0]
    torch.testing.assert_close(
        contrast, torch.diag_embed(torch.stack([factor, factor, factor, torch.ones_like(factor)], 1))
    )

    flipped = (luma - one).abs().sum((1, 2)) > 1
    assert float(flipped.double().mean()) == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(luma[flipped][0], one - 2 * grey)
    torch.testing.assert_close(luma, one - 2 * flipped.double().view(-1, 1, 1) * grey)

    angle = torch.atan2(
        (hue[:, 1, 0] - hue[:, 0, 1]) * math.sqrt(3) / 2, (hue[:, :3, :3].diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    )
    check_uniform(angle, -math.pi, math.pi)
    cross = torch.zeros(4, 4).double()
    cross[:3, :3] = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]).double() / math.sqrt(3)
    torch.testing.assert_close(hue, torch.linalg.matrix_exp(angle.view(-1, 1, 1) * cross), rtol=0, atol=1e-9)

    scale = saturation[:, 0, 0] - saturation[:, 0, 1]
    check_normal(scale.log2(), 1.0)
    chroma = torch.diag(torch.tensor([1.0, 1, 1, 0])).double() - grey
    rest = grey + torch.diag(torch.tensor([0.0, 0, 0, 1])).double()
    torch.testing.assert_close(saturation, rest + scale.view(-1, 1, 1) * chroma)


def test_grey_images_have_no_hue_and_no_saturation(monkeypatch: Patch) -> None:
    steps, _ = drawn_colors(torch.zeros(MANY, 1, 1, 1).double(), 1.0, monkeypatch)
    assert len(steps) == 4
    check_counts(steps[2][:, 0, 0], {-1.0: 0.5, 1.0: 0.5})
    assert torch.equal(steps[3], torch.eye(2).double().expand(MANY, 2, 2))


def test_grey_stays_grey_and_colour_is_transformed_alike_in_every_pixel() -> None:
    grey = torch.randn(64, 1, 2, 2).double().expand(-1, 3, -1, -1)
    y = aug.recolor(grey, aug.colors(grey, 1.0))
    torch.testing.assert_close(y, y[:, :1].expand_as(y), rtol=1e-9, atol=1e-9)
    x = torch.randn(64, 3, 2, 2).double()
    matrix = aug.colors(x, 1.0)
    homogeneous = torch.cat([x, torch.ones(64, 1, 2, 2).double()], 1)
    expected = torch.einsum("nij,njhw->nihw", matrix, homogeneous)[:, :3]
    torch.testing.assert_close(aug.recolor(x, matrix), expected, rtol=1e-9, atol=1e-9)


def test_half_of_the_matrices_are_applied_by_chance() -> None:
    drawn = torch.full((MANY, 2, 2), 3.0)
    for p in (0.0, 0.25, torch.tensor(0.25), 1.0):
        found = aug._sometimes(drawn, p)
        applied = found[:, 0, 1] == 3
        assert float(applied.float().mean()) == pytest.approx(float(p), abs=0.015 if 0 < p < 1 else 0)
        assert torch.equal(found[applied], drawn[applied])
        assert torch.equal(found[~applied], torch.eye(2).expand(int((~applied).sum()), 2, 2))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_with_probability_0_images_come_back_bit_for_bit(channels: int, dtype: torch.dtype) -> None:
    x = torch.randn(8, channels, 7, 16).to(dtype)
    assert torch.equal(aug.ada(x, 0.0), x)
    assert torch.equal(aug.ada(x, torch.tensor(0.0)), x)


def test_autocast_rounds_nothing() -> None:
    x = torch.randn(8, 3, 8, 8)
    torch.manual_seed(0)
    expected = aug.ada(x, 1.0)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = aug.ada(x, 1.0)
    assert torch.equal(found, expected)


# All of them


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ALL)
def test_type_and_shape_stay(name: str, dtype: torch.dtype) -> None:
    for shape in ((1, 3, 8, 8), (3, 1, 5, 9), (8, 3, 16, 16)):
        x = torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last)
        y = ALL[name](x)
        assert y.shape == x.shape
        assert y.dtype == dtype
        assert bool(y.isfinite().all())


@pytest.mark.parametrize("name", ALL)
def test_every_sample_has_its_own_draw(name: str) -> None:
    y = ALL[name](torch.randn(1, 3, 16, 16).expand(64, -1, -1, -1)).flatten(1)
    assert len(y.unique(dim=0)) >= (2 if name == "flip" else 15)


@pytest.mark.parametrize("name", ALL)
def test_samples_do_not_touch_each_other(name: str) -> None:
    x = torch.randn(4, 3, 8, 8).double()
    changed = x.clone()
    changed[2] += 1
    torch.manual_seed(0)
    before = ALL[name](x)
    torch.manual_seed(0)
    after = ALL[name](changed)
    others = [0, 1, 3]
    assert torch.equal(before[others], after[others])
    assert not torch.equal(before[2], after[2])


@pytest.mark.parametrize("name", ALL)
def test_both_derivatives_equal_finite_differences(name: str) -> None:
    """The square makes the second derivative one that would be missed."""

    def fixed(x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return ALL[name](x).square()

    x = torch.randn(2, 3, 4, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(fixed, x)
    assert torch.autograd.gradgradcheck(fixed, x)


def test_only_images_are_augmented() -> None:
    aug.check_images((3, 8, 8), "ada")
    for shape in (None, (), (2,), (8, 8)):
        with pytest.raises(ValueError, match=r"ada moves and recolours images .*tricks\.ada=null"):
            aug.check_images(shape, "ada")
