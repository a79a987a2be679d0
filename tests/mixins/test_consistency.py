"""Consistency regularization: closed forms, and a plain loop."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lit_gans import augmentations, compose, penalties
from lit_gans.mixins import ConsistencyRegularization
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g, plain_loop

Consistent = compose(DCGAN, ConsistencyRegularization)
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


@pytest.mark.parametrize("n", [1, 3, 8])
def test_value_and_gradients_of_the_term(n: int) -> None:
    """D(x) = a |x|^2 and T(x) = 2x: the mean of 9 a^2 |x|^4, a slope of twice that over a."""
    a = torch.tensor(1.5).double().requires_grad_()
    x = torch.randn(n, 2, 3).double().requires_grad_()
    term = penalties.consistency(lambda s: a * s.square().sum((1, 2)), x, lambda s: 2 * s)
    expected = 9 * 1.5**2 * x.detach().square().sum((1, 2)).square().mean()
    torch.testing.assert_close(term, expected, rtol=1e-12, atol=0)
    term.backward()
    torch.testing.assert_close(a.grad, 2 * expected / 1.5, rtol=1e-12, atol=0)
    assert x.grad is None


def test_a_critic_that_does_not_see_the_difference_pays_nothing() -> None:
    x = torch.randn(4, 1, 8, 8)
    assert float(penalties.consistency(lambda s: s.sum((1, 2, 3)), x, lambda s: s.flip(3))) < 1e-9
    assert float(penalties.consistency(lambda s: s[:, 0, 0, 0], x, lambda s: s)) == 0


def term(discriminator: nn.Module, x: Tensor, weight: float) -> Tensor:
    total = torch.zeros(()).double()
    moved = augmentations.shift_and_flip(x)
    for after, before in zip(discriminator(moved), discriminator(x), strict=True):
        total = total + (after - before) ** 2
    return weight * total / len(x)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize(("real_weight", "fake_weight"), [(10.0, 0.0), (7.0, 3.0), (0.0, 5.0)])
@pytest.mark.parametrize("n_critic", [1, 2])
def test_equals_a_plain_loop(n_critic: int, real_weight: float, fake_weight: float, norm: str) -> None:
    options = {"cr_real_weight": real_weight, "cr_fake_weight": fake_weight, "discriminator_norm": norm}
    model = Consistent(**TINY, **options, n_critic=n_critic).double()

    def d_loss(discriminator: Any, real: Tensor, fake: Tensor) -> Any:
        loss = ns_d(discriminator, real, fake)
        for weight, x in ((real_weight, real), (fake_weight, fake)):
            loss = loss + term(discriminator, x, weight) if weight else loss
        return loss

    twins = plain_loop(model, n_critic, d_loss, ns_g, ADAM)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


def test_conditions_go_with_their_samples() -> None:
    model = Consistent(**TINY, discriminator_norm="none", num_classes=10)
    real, fake = torch.randn(2, 4, 1, 16, 16)
    label = torch.tensor([1, 2, 3, 4])
    torch.manual_seed(0)
    found = model.discriminator_penalty(real, fake, label)
    torch.manual_seed(0)
    moved = augmentations.shift_and_flip(real)
    expected = 10 * (model.discriminator(moved, label) - model.discriminator(real, label)).square().mean()
    torch.testing.assert_close(found, expected)


def test_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"consistency moves and recolours images .*use model=dcgan"):
        compose(MLPGAN, ConsistencyRegularization)()


@pytest.mark.parametrize("name", ["cr_real_weight", "cr_fake_weight"])
def test_negative_weights_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be at least 0, got -1\.0"):
        Consistent(**TINY, **{name: -1.0})
