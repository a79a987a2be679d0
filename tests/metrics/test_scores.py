"""FID and KID against known values and against torch-fidelity's definition."""

import math
import time

import pytest
import torch
from torch import Tensor

from lit_gans.metrics import Scores, Statistics, build_extractor

CPU = torch.device("cpu")


def statistics(features: Tensor) -> Statistics:
    """Of all features, in two batches."""
    everything = torch.ones(len(features), dtype=torch.bool)
    half = len(features) // 2
    parts = [(features[:half], everything[:half]), (features[half:], everything[half:])]
    return Statistics.of(parts, features.shape[1], CPU)


def points_with(mean: list[float], covariance: list[list[float]]) -> Tensor:
    """Four points whose mean and (n - 1) covariance are exactly these."""
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    root = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float64))
    return corners * math.sqrt(3 / 4) @ root.T + torch.tensor(mean, dtype=torch.float64)


def test_frechet_distance_of_two_gaussians() -> None:
    real, fake = points_with([0, 0], [[1, 0], [0, 1]]), points_with([1, 2], [[2, 0.5], [0.5, 1]])
    score = Scores(statistics(real), kid_subsets=0).score(fake)
    assert score == {"fid": pytest.approx(5.2478420434, abs=1e-9)}


def test_kernel_distance_of_three_points() -> None:
    real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    fake = torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    scores = Scores(statistics(real), kid_subsets=3, kid_subset_size=3).score(fake)
    assert scores["kid"] == pytest.approx(0.5, abs=1e-12)


def test_scores_see_the_last_fakes_only_and_keep_the_reals() -> None:
    generator = torch.Generator().manual_seed(0)
    real, near, far = (torch.randn(60, 5, generator=generator) + shift for shift in (0, 0, 3))
    scores = Scores(statistics(real), kid_subsets=1, kid_subset_size=60)
    first = scores.score(near)
    assert scores.score(far)["fid"] > 10 * first["fid"]
    again = scores.score(near)
    assert again["fid"] == first["fid"]
    assert again["kid"] == pytest.approx(first["kid"], rel=1e-12)  # the subset is everyone, in another order


def test_fid_is_float64() -> None:
    """Far from zero, where float32 would lose the covariances, and to more digits than float32 has."""
    features = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)).double() + 100
    fid = Scores(statistics(features), kid_subsets=0).score(features.flip(0) + 3.3)["fid"]
    assert fid == pytest.approx(4 * 3.3**2, abs=1e-8)


def test_statistics_keep_what_is_marked() -> None:
    features = torch.arange(12.0).view(6, 2)
    keep = torch.tensor([True, False, True, False, True, False])
    kept = Statistics.of([(features[:4], keep[:4]), (features[4:], keep[4:])], 2, CPU)
    assert kept.features.tolist() == [[0, 1], [4, 5], [8, 9]]
    assert kept.count == 6
    assert kept.total.tolist() == [30, 36]
    torch.testing.assert_close(kept.outer, features.double().T @ features.double())


def test_shares_are_the_whole_together() -> None:
    whole = statistics(torch.randn(11, 3, generator=torch.Generator().manual_seed(0)))
    shares = [whole.share(rank, 3) for rank in range(3)]
    assert [len(share.features) for share in shares] == [4, 4, 3]
    assert torch.equal(torch.cat([share.features for share in shares]), whole.features)
    for name in ("count", "total", "outer"):
        assert torch.equal(sum(getattr(share, name) for share in shares), getattr(whole, name))


def test_fid_of_2000_images_takes_less_than_three_seconds_of_one_core() -> None:
    pixels = torch.randint(0, 256, (2000, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    extractor = build_extractor("digits")
    scores = Scores(statistics(extractor(pixels[:500])), kid_subsets=0)
    start = time.process_time()
    scores.score(torch.cat([extractor(pixels[i : i + 250]) for i in range(0, 2000, 250)]))
    assert time.process_time() - start < 3
