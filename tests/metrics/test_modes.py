"""Modes in closed form: what true samples score, what a single mode scores, distances of known clouds."""

import itertools
import math

import pytest
import torch

from lit_gans.data import Grid, Rings
from lit_gans.metrics import modes
from lit_gans.metrics.digits import DigitsClassifier

DOUBLE = torch.float64


def true_samples(n, centres, std, seed=0):
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.arange(n) % len(centres)
    return centres[chosen] + std * torch.randn(n, 2, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize("data", [Rings(), Grid()])
def test_true_samples_reach_the_ceiling_and_no_more(data):
    centres = data.centres.double()
    found = modes.point_scores(true_samples(50_000, centres, data.std), centres, data.std)
    assert found["captured"] == len(centres)
    assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.002)
    assert found["reverse_kl"] == pytest.approx(0, abs=1e-6)
    assert found["spread"] == pytest.approx(1, abs=0.01)


def test_a_single_mode_and_a_point():
    centres = Rings().centres.double()
    one = modes.point_scores(true_samples(1000, centres[2:3], 0.02), centres, 0.02)
    assert one["captured"] == 1
    assert one["reverse_kl"] == pytest.approx(math.log(8), rel=1e-12)
    point = modes.point_scores(centres[:1].expand(8, 2), centres, 0.02)
    assert point["high_quality"] == 1
    assert point["spread"] == pytest.approx(0, abs=1e-6)


def test_a_sample_is_good_within_three_deviations_and_captures_its_mode():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0]], dtype=DOUBLE)
    points = torch.tensor([[0.0, 2.999], [10.0, 3.001], [9.0, 9.0]], dtype=DOUBLE)
    found = modes.point_scores(points, centres, 1.0)
    assert found["captured"] == 1
    assert found["high_quality"] == pytest.approx(1 / 3)
    # All three count for the histogram: shares 1/3 and 2/3.
    assert found["reverse_kl"] == pytest.approx(math.log(2 / 3) / 3 + 2 * math.log(4 / 3) / 3, rel=1e-12)


def test_reverse_kl():
    assert modes.reverse_kl(torch.tensor([5, 5, 5])) == pytest.approx(0, abs=1e-12)
    assert modes.reverse_kl(torch.tensor([1, 0, 3])) == pytest.approx(
        0.25 * math.log(0.75) + 0.75 * math.log(2.25), rel=1e-12
    )
    with pytest.raises(ValueError, match="no sample"):
        modes.reverse_kl(torch.zeros(3))


def test_spread_is_relative_to_the_true_one_and_around_the_samples_own_mean():
    centres = Rings().centres.double()
    for factor in (0.5, 2.0):
        points = true_samples(20_000, centres, 0.02 * factor) + 0.03
        assert modes.spread(points, centres, 0.02) == pytest.approx(factor, rel=0.03)
    assert math.isnan(modes.spread(centres + 1, centres, 0.02))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_sliced_wasserstein_of_a_shift(n):
    """Along the direction u a shift by s moves everything by |s . u|, whose mean over all directions is 2/pi |s|."""
    real = torch.randn(n, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(n))
    shift = torch.tensor([3.0, 4.0], dtype=DOUBLE)
    assert modes.sliced_wasserstein(real, real + shift) == pytest.approx(5 * 2 / math.pi, rel=1e-3)
    assert modes.sliced_wasserstein(real, real.flip(0)) == pytest.approx(0, abs=1e-12)


def test_sliced_wasserstein_on_a_line_is_exact_for_unequal_numbers():
    real, fake = torch.tensor([[0.0], [1.0]], dtype=DOUBLE), torch.tensor([[0.0], [0.0], [4.0]], dtype=DOUBLE)
    # The distribution functions differ by 1/6 on [0, 1], and by 1/3 on [1, 4].
    assert modes.sliced_wasserstein(real, fake) == pytest.approx(1 / 6 + 1, rel=1e-12)


def test_directions_are_units():
    for dimension in (1, 2, 3, 5):
        found = modes.directions(16, dimension)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found), dtype=DOUBLE))
    assert torch.equal(modes.directions(4, 3), modes.directions(4, 3))


def test_squared_mmd_against_loops():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, 2, dtype=DOUBLE, generator=generator) for n in (5, 4))

    def kernel(a, b):
        return sum(math.exp(-float((a - b).square().sum()) / (2 * s * s)) for s in (0.5, 2.0)) / 2

    within = [
        sum(kernel(a, b) for a, b in itertools.permutations(x, 2)) / (len(x) * (len(x) - 1)) for x in (real, fake)
    ]
    between = sum(kernel(a, b) for a in real for b in fake) / 20
    assert modes.squared_mmd(real, fake, [0.5, 2.0]) == pytest.approx(sum(within) - 2 * between, rel=1e-10)
    with pytest.raises(ValueError, match="two points of each kind, got 5 real and 1 fake"):
        modes.squared_mmd(real, fake[:1], [1.0])


def test_squared_mmd_is_unbiased_and_sees_a_shift():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, 40, 2, dtype=DOUBLE, generator=generator) for _ in range(200)]
    equal = torch.tensor([modes.squared_mmd(x, y, [1.0]) for x, y in draws])
    assert abs(float(equal.mean())) < 3 * float(equal.std()) / 200**0.5
    assert float(equal.min()) < 0
    assert modes.squared_mmd(draws[0][0], draws[0][1] + 1, [1.0]) > 0.1


def test_stacks_are_counted_as_they_are_read():
    sure = torch.eye(10, dtype=DOUBLE)
    images = [[1, 2, 3], [1, 2, 3], [0, 0, 7], [9, 9, 9]]
    probabilities = torch.stack([sure[digits] for digits in images])
    probabilities[3, 1] = 0.1
    probabilities[3, 1, 9] = 0.101  # read as a 9, without confidence
    found = modes.stack_scores(probabilities)
    assert found["captured"] == 3
    assert found["confident"] == pytest.approx(0.75)
    expected = 0.5 * math.log(500) + 2 * 0.25 * math.log(250)
    assert found["reverse_kl"] == pytest.approx(expected, rel=1e-12)


def test_a_perfect_sampler_of_a_thousand_modes_has_the_stated_floor():
    """(K - 1) / 2n on average: 0.0195 for 25,600 samples."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(1000, (25_600,), generator=generator)
    assert modes.reverse_kl(numbers.bincount(minlength=1000)) == pytest.approx(0.0195, abs=0.0015)


def test_each_channel_is_read_by_itself():
    reader = DigitsClassifier.pretrained()
    images = torch.randint(0, 256, (3, 2, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = modes.read_stacks(reader, images)
    assert found.shape == (3, 2, 10)
    torch.testing.assert_close(found[1, 0], reader.probabilities(images[1:2, :1])[0])
