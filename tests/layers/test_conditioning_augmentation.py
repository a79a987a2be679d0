"""What is made of a text: its forms by hand, its noise, its divergence."""

import pytest
import torch
from torch import Tensor

from lit_gans import losses
from lit_gans.layers.conditioning_augmentation import FORMS, ConditioningAugmentation

TEXT = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]])


def linear(layer: ConditioningAugmentation) -> Tensor:
    return TEXT @ layer.linear.weight.T + layer.linear.bias


def test_log_std_is_the_first_code_s() -> None:
    """A leaky rectifier on both halves: mu, and log sigma."""
    layer = ConditioningAugmentation(2, 3)
    both = linear(layer)
    both = torch.where(both > 0, both, 0.2 * both)
    noise = torch.randn(3, 3)
    torch.testing.assert_close(layer(TEXT, noise), both[:, :3] + both[:, 3:].exp() * noise)


@pytest.mark.parametrize("rectify", [False, True])
def test_log_variance_is_the_second_code_s(rectify: bool) -> None:
    layer = ConditioningAugmentation(2, 3, "rectified" if rectify else "log_variance")
    both = linear(layer).clamp_min(0) if rectify else linear(layer)
    mean, log_std = layer.moments(TEXT)
    assert log_std is not None
    torch.testing.assert_close(mean, both[:, :3])
    torch.testing.assert_close(log_std.exp() ** 2, both[:, 3:].exp())
    if rectify:
        assert bool((mean >= 0).all())
        assert bool((log_std >= 0).all())


def test_a_gated_linear_unit() -> None:
    layer = ConditioningAugmentation(2, 3, "glu")
    values, gates = linear(layer).chunk(2, 1)
    both = values * gates.sigmoid()
    mean, log_std = layer.moments(TEXT)
    torch.testing.assert_close((mean, log_std), (both[:, :3], both[:, 3:] / 2))


def test_without_augmentation_noise_is_not_felt() -> None:
    layer = ConditioningAugmentation(2, 3, "none")
    assert layer.moments(TEXT)[1] is None
    torch.testing.assert_close(layer(TEXT, torch.randn(3, 3)), linear(layer))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 3, 8])
def test_c_has_the_moments_that_it_says(form: str, size: int) -> None:
    torch.manual_seed(0)
    layer, text = ConditioningAugmentation(2, 4, form), torch.randn(size, 2)
    drawn = torch.stack([layer(text, torch.randn(size, 4)) for _ in range(4000)])
    mean, log_std = layer.moments(text)
    std = torch.zeros_like(mean) if log_std is None else log_std.exp()
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.12, rtol=0)
    torch.testing.assert_close(drawn.std(0), std, atol=1e-5, rtol=0.06)


def test_the_divergence_in_closed_form() -> None:
    """Value as published, gradient by hand: mu / (N D), and (e^(2s) - 1) / (N D)."""
    mean = torch.tensor([[0.5, -1.0]], dtype=torch.double, requires_grad=True)
    log_std = torch.tensor([[0.1, -0.3]], dtype=torch.double, requires_grad=True)
    value = losses.gaussian_kl(mean, log_std)
    assert value.item() == pytest.approx(0.3550535986, abs=1e-10)
    value.backward()
    torch.testing.assert_close(mean.grad, mean.detach() / 2)
    torch.testing.assert_close(log_std.grad, ((2 * log_std.detach()).exp() - 1) / 2)
    zero = torch.zeros(3, 5)
    assert losses.gaussian_kl(zero, zero).item() == 0


def test_a_misspelt_form() -> None:
    with pytest.raises(
        ValueError, match="augmentation must be one of log_std, log_variance, rectified, glu, none, got 'std'"
    ):
        ConditioningAugmentation(2, 3, "std")
