"""DiffAugment: in both turns, with gradients to the generator; against a plain loop."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from lit_gans import augmentations, compose
from lit_gans.mixins import DiffAugment, R1Penalty
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g, plain_loop

Augmented = compose(DCGAN, DiffAugment)
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


def penalty(shown: Any, real: Tensor, gamma: float) -> Tensor:
    """R1, with the gradient with respect to what is augmented; one pass, as the augmentation is drawn once."""
    real = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(shown(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.square().sum() / len(real)


@pytest.mark.parametrize("gamma", [0.0, 3.0])
@pytest.mark.parametrize(
    ("n_critic", "policy"), [(1, ["color", "translation", "cutout"]), (2, ["cutout", "color"]), (1, ["translation"])]
)
def test_equals_a_plain_loop(n_critic: int, policy: list[str], gamma: float) -> None:
    cls = compose(DCGAN, DiffAugment, R1Penalty) if gamma else Augmented
    extra = {"r1_gamma": gamma, "discriminator_norm": "none"} if gamma else {}
    model = cls(**TINY, **extra, n_critic=n_critic, diff_augment_policy=policy).double()

    def shown(discriminator: Any) -> Any:
        return lambda x: discriminator(augmentations.diff_augment(x, policy))

    def d_loss(discriminator: Any, real: Tensor, fake: Tensor) -> Any:
        loss = ns_d(shown(discriminator), real, fake)
        return loss + penalty(shown(discriminator), real, gamma) if gamma else loss

    twins = plain_loop(model, n_critic, d_loss, lambda d, g: ns_g(shown(d), g), ADAM)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_generator_learns_through_what_is_augmented(n: int) -> None:
    """The gradient of the sum of D(T(x)) for T a translation: that of D, moved back, 0 where pixels have left."""
    model = compose(MLPGAN, DiffAugment)(
        latent_dim=4, sample_shape=[1, 16, 16], discriminator_hidden=[8], diff_augment_policy=["translation"]
    ).double()
    x = torch.randn(n, 1, 16, 16).double().requires_grad_()
    torch.manual_seed(5)
    model.generator_loss(x, x, None).backward()
    torch.manual_seed(5)
    shown = augmentations.translation(x.detach()).requires_grad_()
    softplus(-model.discriminator(shown)).mean().backward()
    found, expected = x.grad, shown.grad
    assert found is not None
    assert expected is not None
    for i in range(n):
        shifts = [(d, r) for d in range(-2, 3) for r in range(-2, 3)]
        assert any(torch.allclose(found[i], moved(expected[i], d, r), rtol=1e-9, atol=1e-12) for d, r in shifts)


def moved(gradient: Tensor, down: int, right: int) -> Tensor:
    """Back by a shift; nothing comes in."""
    wide = torch.zeros(1, 20, 20).double()
    wide[:, 2:18, 2:18] = gradient
    return wide[:, 2 + down : 18 + down, 2 + right : 18 + right]


def test_every_pass_has_its_own_draw() -> None:
    model = Augmented(**TINY)
    x = torch.randn(4, 1, 16, 16)
    assert not torch.equal(model.discriminator_input(x), model.discriminator_input(x))
    assert model.diff_augment_policy == ["color", "translation", "cutout"]


def test_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"diff_augment moves and recolours images .* shape \(2,\): use model=dcgan"):
        compose(MLPGAN, DiffAugment)()


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (["color", "colour"], "diff_augment_policy knows no 'colour'. Possible: color, translation, cutout"),
        ([], "diff_augment_policy is empty. Possible: color, translation, cutout"),
    ],
)
def test_policies_that_there_are_not_are_refused(policy: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Augmented(**TINY, diff_augment_policy=policy)
