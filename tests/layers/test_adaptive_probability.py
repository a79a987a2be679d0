"""ADA's probability against the recipe, in whole images."""

import random

import pytest
import torch

from lit_gans.layers.adaptive_probability import AdaptiveProbability


def test_the_trajectory_is_that_of_a_plain_simulation() -> None:
    """P goes up or down by batch * interval / images, and stays in [0, 1]."""
    draw, probability, p = random.Random(0), AdaptiveProbability(0.6, 4, 1000, 0.05), 0.05
    seen = {p}
    for round_ in range(200):
        up = draw.random() < (0.9 if round_ < 80 else 0.1)
        signs = []
        for _ in range(4):
            turn = [1 if draw.random() < (0.95 if up else 0.6) else -1 for _ in range(16)]
            probability.hear(torch.tensor([float(sum(turn)), 16.0]))
            signs += turn
        probability.adjust(4 * 16)
        r_t = sum(signs) / len(signs)
        p = min(max(p + ((r_t > 0.6) - (r_t < 0.6)) * 64 / 1000, 0.0), 1.0)
        assert float(probability.p) == pytest.approx(p, abs=1e-6)
        assert float(probability.r_t) == pytest.approx(r_t, abs=1e-6)
        seen.add(p)
    assert min(seen) == 0
    assert max(seen) == 1
    assert len(seen) > 10


def test_what_was_heard_counts_once_and_by_its_number() -> None:
    probability = AdaptiveProbability(0.5, 2, 100, 0.5)
    probability.hear(torch.tensor([1.0, 1.0]))  # mean 1, of one sample
    probability.hear(torch.tensor([-3.0, 9.0]))  # mean -1/3, of nine
    assert float(probability.r_t) == 0  # not yet judged
    probability.adjust(10)
    assert float(probability.r_t) == pytest.approx(-0.2)
    assert float(probability.p) == pytest.approx(0.4)
    probability.hear(torch.tensor([4.0, 4.0]))
    probability.adjust(10)
    assert float(probability.r_t) == 1
    assert float(probability.p) == pytest.approx(0.5)


@pytest.mark.parametrize("target", [0.6, 0.1, -1.0])
def test_on_target_it_stays(target: float) -> None:
    probability = AdaptiveProbability(target, 4, 100, 0.3)
    probability.hear(torch.tensor([10 * target, 10.0]))
    probability.adjust(7)
    assert int(probability.level) == 30


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_half_precision_does_not_round_it(dtype: torch.dtype) -> None:
    probability = AdaptiveProbability(0.6, 4, 500_000, 0.5).to(dtype)
    for _ in range(1000):
        probability.hear(torch.tensor([257.0, 257.0]))
        probability.adjust(4)
    assert float(probability.p) == pytest.approx(0.508, abs=1e-6)
    assert probability.judged.tolist() == [257, 257]


def test_its_state_is_saved() -> None:
    first, second = (AdaptiveProbability(0.6, 4, 1000, start) for start in (0.25, 0.0))
    first.hear(torch.tensor([5.0, 6.0]))
    first.adjust(3)
    first.hear(torch.tensor([-2.0, 4.0]))
    second.load_state_dict(first.state_dict())
    for probability in (first, second):
        assert float(probability.r_t) == pytest.approx(5 / 6)
        probability.hear(torch.tensor([4.0, 4.0]))
        probability.adjust(100)
        assert float(probability.p) == pytest.approx(0.153)
        assert float(probability.r_t) == 0.25


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((1.5, 4, 100, 0.0), r"ada_target must be in \[-1, 1\], got 1\.5"),
        ((0.6, 0, 100, 0.0), "ada_interval must be at least 1, got 0"),
        ((0.6, 4, 0, 0.0), "ada_images must be at least 1, got 0"),
        ((0.6, 4, 100, -0.1), r"ada_start must be in \[0, 1\], got -0\.1"),
    ],
)
def test_options_out_of_range_are_refused(options: tuple[float, int, int, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AdaptiveProbability(*options)
