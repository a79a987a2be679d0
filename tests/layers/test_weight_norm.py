"""Weight normalization: lengths, what learns, and the initialisation by data."""

from typing import Any

import pytest
import torch
from torch import nn

from lit_gans.layers.gaussian_noise import GaussianNoise
from lit_gans.layers.weight_norm import initialize_by_data, weight_norm


def layers() -> dict[str, tuple[Any, torch.Tensor]]:
    torch.manual_seed(0)
    return {
        "linear": (nn.Linear(5, 4), 3 + 2 * torch.randn(64, 5)),
        "convolution": (nn.Conv2d(3, 4, 3), torch.rand(16, 3, 6, 6)),
        "transposed": (nn.ConvTranspose2d(3, 4, 5, 2, 2, output_padding=1), torch.rand(16, 3, 6, 6)),
    }


@pytest.mark.parametrize("name", layers())
def test_each_channel_has_a_weight_of_length_one(name: str) -> None:
    layer, _ = layers()[name]
    weight_norm(layer, std=0.3, learn_scale=False)
    rows = layer.weight.transpose(0, 1) if name == "transposed" else layer.weight
    torch.testing.assert_close(rows.flatten(1).norm(dim=1), torch.ones(4))
    direction = layer.parametrizations.weight.original1
    assert 0.2 < direction.std().item() < 0.4
    assert not layer.bias.any()


@pytest.mark.parametrize("learn", [True, False])
def test_the_scale_learns_or_not(learn: bool) -> None:
    layer = weight_norm(nn.Linear(5, 4), std=0.1, learn_scale=learn)
    layer(torch.randn(3, 5)).sum().backward()
    scale, direction = (layer.get_parameter(f"parametrizations.weight.original{i}") for i in (0, 1))
    assert (scale.grad is not None) is learn
    assert direction.grad.abs().max() > 0.01
    # A direction has no gradient along itself: it can only turn.
    torch.testing.assert_close((direction.grad * direction).sum(1), torch.zeros(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("std", [1.0, 0.1])
@pytest.mark.parametrize("name", layers())
def test_outputs_are_standardised_layer_after_layer(name: str, std: float) -> None:
    first, x = layers()[name]
    weight_norm(first, std=0.1, learn_scale=False)
    second = weight_norm(nn.Linear(4, 3), std=0.1, learn_scale=True)
    spatial = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if x.dim() == 4 else []
    network = nn.Sequential(first, nn.ReLU(), *spatial, second)
    initialize_by_data(network, x, std=std)
    for output in (first(x), network(x)):
        channels = output.transpose(0, 1).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            channels.std(1, unbiased=False), torch.full((len(channels),), std), rtol=2e-3, atol=0
        )


def test_a_channel_that_never_changes_keeps_its_scale() -> None:
    layer = weight_norm(nn.Linear(5, 4), std=0.1, learn_scale=False)
    x = torch.ones(8, 5)
    before = layer.weight.clone()
    initialize_by_data(layer, x)
    torch.testing.assert_close(layer.weight, before)
    torch.testing.assert_close(layer(x), torch.zeros(8, 4), atol=1e-5, rtol=0)


def test_statistics_are_those_of_all_devices() -> None:
    """``mean`` is asked for the mean and the variance of each layer."""
    asked: list[torch.Tensor] = []
    layer = weight_norm(nn.Linear(5, 4), std=0.1, learn_scale=False)

    def mean(statistic: torch.Tensor) -> torch.Tensor:
        asked.append(statistic)
        return torch.tensor([0.0, 4.0][len(asked) - 1]).expand(4)

    initialize_by_data(layer, torch.randn(8, 5), mean=mean)
    assert len(asked) == 2
    torch.testing.assert_close(layer.weight.norm(dim=1), torch.full((4,), 0.5))


def test_noise_is_there_in_training_alone() -> None:
    noise, x = GaussianNoise(0.5), torch.zeros(10_000)
    assert 0.48 < float(noise(x).std()) < 0.52
    assert torch.equal(noise.eval()(x), x)
