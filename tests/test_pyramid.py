"""The Laplacian pyramid: exact inverse, the vector of the paper's code, shares of area."""

import pytest
import torch
from torch.nn.functional import interpolate

from lit_gans import pyramid

PYRAMIDS = [
    *[([28, 14, 8], "area"), ([28, 14, 7], "area"), ([64, 32, 16, 8], "area"), ([33, 20, 7, 1], "area")],
    *[([64, 32, 16], "blur"), ([33, 17, 9, 5], "blur"), ([7], "area"), ([9, 5, 3, 2, 1], "blur")],
]


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize(("sizes", "method"), PYRAMIDS)
def test_collapse_undoes_build(sizes: list[int], method: str, batch: int) -> None:
    image = torch.rand(batch, 3, sizes[0], sizes[0], generator=torch.Generator().manual_seed(0)) * 2 - 1
    levels = pyramid.build(image, sizes, method)
    assert [level.shape for level in levels] == [(batch, 3, size, size) for size in sizes]
    torch.testing.assert_close(pyramid.collapse(levels), image, rtol=0, atol=1e-6)


def test_the_vector_of_the_code() -> None:
    image = torch.arange(16, dtype=torch.double).view(1, 1, 4, 4)
    difference, coarse = pyramid.build(image, [4, 2])
    assert coarse.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    enlarged = pyramid.enlarge(coarse, 4)
    torch.testing.assert_close(enlarged[0, 0, 0], torch.tensor([2.5, 19 / 6, 23 / 6, 4.5], dtype=torch.double))
    assert float(difference.abs().max()) == 2.5
    assert torch.equal(enlarged + difference, image)


def test_levels_are_made_of_the_whole_image() -> None:
    """32 to 14 pixels is not 32 to 28 to 14: the code shrinks the original each time."""
    image = torch.rand(1, 1, 32, 32, dtype=torch.double)
    _, coarse = pyramid.build(image, [28, 14])
    torch.testing.assert_close(coarse, pyramid.shrink(image, 14), rtol=0, atol=0)


@pytest.mark.parametrize(("before", "after"), [(32, 14), (28, 8), (5, 3), (28, 14), (7, 7), (3, 1)])
def test_area_weights_are_shares(before: int, after: int) -> None:
    weights = pyramid.area_weights(before, after)
    torch.testing.assert_close(weights.sum(1), torch.ones(after, dtype=torch.double), rtol=0, atol=1e-12)
    torch.testing.assert_close(weights.sum(0), torch.full((before,), after / before, dtype=torch.double))
    image = torch.rand(2, 1, before, before, dtype=torch.double)
    torch.testing.assert_close(pyramid.shrink(image, after).mean(), image.mean())
    if before % after == 0:
        torch.testing.assert_close(pyramid.shrink(image, after), interpolate(image, (after, after), mode="area"))


def test_area_weights_count_fractions() -> None:
    expected = torch.tensor([[3, 2, 0, 0, 0], [0, 1, 3, 1, 0], [0, 0, 0, 2, 3]], dtype=torch.double) / 5
    torch.testing.assert_close(pyramid.area_weights(5, 3), expected)


def test_blur_keeps_what_is_constant_and_weighs_neighbours() -> None:
    flat = torch.full((1, 2, 9, 9), 0.7, dtype=torch.double)
    torch.testing.assert_close(pyramid.shrink(flat, 5, "blur"), flat[..., :5, :5])
    point = torch.zeros(1, 1, 9, 9, dtype=torch.double)
    point[0, 0, 4, 4] = 256
    found = pyramid.shrink(point, 5, "blur")[0, 0]
    row = torch.tensor([0, 1, 6, 1, 0], dtype=torch.double)
    torch.testing.assert_close(found, row.outer(row))


@pytest.mark.parametrize(
    ("sizes", "method", "sentence"),
    [
        ([8, 14], "area", "got 8 and then 14 pixels"),
        ([14, 14], "area", "got 14 and then 14 pixels"),
        ([], "area", "at least one pixel"),
        ([4, 0], "area", "at least one pixel"),
        ([28, 14, 8], "blur", "after 14 come 7 pixels, not 8"),
        ([28, 14], "gauss", "called 'gauss'"),
    ],
)
def test_refusals(sizes: list[int], method: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pyramid.check_sizes(sizes, method)


@pytest.mark.parametrize(("size", "sizes"), [(64, [64, 32, 16, 8]), (28, [28, 14, 7]), (33, [33, 17, 9]), (8, [8])])
def test_halved(size: int, sizes: list[int]) -> None:
    assert pyramid.halved(size) == sizes
    pyramid.check_sizes(sizes, "blur")
