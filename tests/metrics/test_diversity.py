"""How far samples spread, against closed forms and plain loops."""

import math

import pytest
import torch
from torch import Tensor

from lit_gans.metrics.diversity import spread


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def crossed(*scales: float) -> Tensor:
    """Samples at plus and minus each scale along an axis of its own: their covariance is diagonal."""
    return torch.cat([torch.diag(torch.tensor(scales, dtype=torch.double)) * sign for sign in (1, -1)])


@pytest.mark.parametrize("shape", [(2, 1), (3, 5), (8, 2), (8, 3, 4, 4), (16, 1, 2)])
def test_distance_is_the_mean_over_pairs(shape: tuple[int, ...]) -> None:
    samples = noise(*shape)
    pairs = [float((samples[i] - samples[j]).norm()) for i in range(shape[0]) for j in range(i)]
    assert spread(samples).distance == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)


@pytest.mark.parametrize("scales", [(1.0,), (2.0, 2.0, 2.0), (3.0, 1.0), (1.0, 0.5, 0.25, 0.125)])
def test_rank_is_the_participation_ratio_of_the_variances(scales: tuple[float, ...]) -> None:
    variances = [scale**2 for scale in scales]
    expected = sum(variances) ** 2 / sum(variance**2 for variance in variances)
    assert spread(crossed(*scales)).rank == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(3, 7), (8, 3), (8, 40)])
def test_rank_is_that_of_the_covariance_on_either_side_of_n(shape: tuple[int, int]) -> None:
    samples = noise(*shape)
    values = torch.linalg.eigvalsh(samples.T.cov())
    expected = float(values.sum() ** 2 / values.square().sum())
    assert spread(samples).rank == pytest.approx(expected, rel=1e-9)
    assert 1 <= spread(samples).rank <= min(shape[0] - 1, shape[1])


def test_a_shift_changes_nothing_and_a_scale_the_distance_alone() -> None:
    samples = noise(8, 5)
    before, after = spread(samples), spread(3 * samples + 100)
    assert after.distance == pytest.approx(3 * before.distance, rel=1e-9)
    assert after.rank == pytest.approx(before.rank, rel=1e-9)


def test_nearly_equal_samples_in_single_precision() -> None:
    few = noise(8, 500)
    exact, rounded = spread(1 + 1e-4 * few), spread((1 + 1e-4 * few).float())
    assert rounded.distance == pytest.approx(exact.distance, rel=1e-3)
    assert rounded.rank == pytest.approx(exact.rank, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8])
def test_few_bits_are_made_more(dtype: torch.dtype) -> None:
    samples = (noise(8, 500) * 20 + 100).to(dtype)
    assert spread(samples).distance == pytest.approx(spread(samples.double()).distance, rel=1e-5)


def test_samples_that_are_all_the_same() -> None:
    found = spread(torch.full((8, 3), 0.3))
    assert found.distance < 1e-6
    assert math.isnan(spread(torch.zeros(8, 3)).rank)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_gives_none(bad: float) -> None:
    samples = noise(8, 3)
    samples[2, 1] = bad
    found = spread(samples)
    assert math.isnan(found.distance)
    assert math.isnan(found.rank)


def test_one_sample_does_not_differ() -> None:
    with pytest.raises(ValueError, match="at least 2, got 1"):
        spread(torch.zeros(1, 3))
