"""Standardising: each channel by its own numbers, and back."""

import pytest
import torch

from lit_gans.layers.standardize import Standardize


@pytest.mark.parametrize("n", [1, 3, 8])
def test_each_channel_has_its_own_mean_and_deviation(n: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(n, 3, 6, 6) * torch.tensor([0.2, 0.5, 1.0]).view(3, 1, 1) + torch.tensor([-0.9, 0.1, 0]).view(
        3, 1, 1
    )
    layer = Standardize(3)
    assert torch.equal(layer(images), images)
    assert not layer.measured
    layer.measure(images)
    assert layer.measured
    found = layer(images)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std((0, 2, 3)), torch.ones(3), rtol=1e-5, atol=0)
    torch.testing.assert_close(layer.inverse(found), images, rtol=0, atol=1e-6)
    assert layer.inverse(100 * found).abs().max() == 1


def test_a_channel_that_is_constant_stays_finite() -> None:
    layer = Standardize(1)
    layer.measure(torch.full((4, 1, 2, 2), -1.0))
    assert torch.equal(layer(torch.full((1, 1, 2, 2), -1.0)), torch.zeros(1, 1, 2, 2))
