"""Each training step against a plain loop written from the paper: all weights equal after several batches."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from lit_gans import GAN, compose
from lit_gans.mixins import GradientPenalty, OneSidedLabelSmoothing, R1Penalty
from lit_gans.models import DCGAN, MLPGAN, WGANGP
from tests.conftest import TINY, fit, images

BATCHES, BATCH = 10, 8


def plain_loop(model: GAN, n_critic: int, d_loss: Callable[..., Any], g_loss: Callable[..., Any], adam: dict) -> Any:
    """The papers' alternation: n_critic discriminator steps, each on its own batch, then one on the generator.

    The last discriminator step and the generator step share one fake batch (DCGAN's well-known loop).
    """
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizer_g = torch.optim.Adam(generator.parameters(), **adam)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **adam)
    for i in range(BATCHES):
        real = torch.stack([item["image"] for item in images(BATCH * BATCHES)[BATCH * i : BATCH * (i + 1)]])
        real = real.double() / 127.5 - 1
        last = (i + 1) % n_critic == 0
        torch.manual_seed(model.key("shared", i, 0) if last else model.key("discriminator", i, 0))
        fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        if last:
            torch.manual_seed(model.key("discriminator", i, 0))
        optimizer_d.zero_grad()
        d_loss(discriminator, real, fake.detach()).backward()
        optimizer_d.step()
        if last:
            torch.manual_seed(model.key("generator", i // n_critic, 0))
            optimizer_g.zero_grad()
            g_loss(discriminator, fake).backward()
            optimizer_g.step()
    return generator, discriminator


def ns_d(discriminator: Any, real: Any, fake: Any, target: float = 1.0) -> Any:
    ones, zeros = torch.full((BATCH,), target, dtype=torch.double), torch.zeros(BATCH, dtype=torch.double)
    return bce(discriminator(real), ones) + bce(discriminator(fake), zeros)


def ns_g(discriminator: Any, fake: Any) -> Any:
    return bce(discriminator(fake), torch.ones(BATCH, dtype=torch.double))


def r1(discriminator: Any, real: Any, gamma: float) -> Any:
    real = real.clone().requires_grad_()
    gradients = [
        torch.autograd.grad(discriminator(real)[i], real, create_graph=True)[0].pow(2).sum() for i in range(BATCH)
    ]
    return gamma / 2 * sum(gradients) / BATCH


def gp(discriminator: Any, real: Any, fake: Any, weight: float) -> Any:
    alpha = torch.rand(BATCH, 1, 1, 1, dtype=torch.double)
    total = 0.0
    for a, x, g in zip(alpha, real, fake, strict=True):
        mixed = (a * x + (1 - a) * g).unsqueeze(0).requires_grad_()
        gradient = torch.autograd.grad(discriminator(mixed).sum(), mixed, create_graph=True)[0]
        total = total + (gradient.norm() - 1) ** 2
    return weight * total / BATCH


NO_BN = {"discriminator_norm": "none"}
TWINS = {
    "dcgan": (DCGAN, {}, ns_d, ns_g),
    "dcgan+r1": (
        compose(DCGAN, R1Penalty),
        {"r1_gamma": 5.0, **NO_BN},
        lambda d, x, g: ns_d(d, x, g) + r1(d, x, 5.0),
        ns_g,
    ),
    "dcgan+wgan_gp": (
        compose(DCGAN, GradientPenalty),
        {"gp_weight": 3.0, **NO_BN},
        lambda d, x, g: ns_d(d, x, g) + gp(d, x, g, 3.0),
        ns_g,
    ),
    "dcgan+label_smoothing": (
        compose(DCGAN, OneSidedLabelSmoothing),
        {"smooth_target": 0.8},
        lambda d, x, g: ns_d(d, x, g, 0.8),
        ns_g,
    ),
    "dcgan+r1+label_smoothing": (
        compose(DCGAN, R1Penalty, OneSidedLabelSmoothing),
        {"r1_gamma": 2.0, "smooth_target": 0.9, **NO_BN},
        lambda d, x, g: ns_d(d, x, g, 0.9) + r1(d, x, 2.0),
        ns_g,
    ),
    "wgan_gp": (
        WGANGP,
        {},
        lambda d, x, g: d(g).mean() - d(x).mean() + gp(d, x, g, 10.0),
        lambda d, g: -d(g).mean(),
    ),
}


@pytest.mark.parametrize("n_critic", [1, 2, 5])
@pytest.mark.parametrize("name", TWINS)
def test_equals_a_plain_loop(name: str, n_critic: int) -> None:
    cls, options, d_loss, g_loss = TWINS[name]
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    model = cls(**TINY, n_critic=n_critic, **options).double()
    generator, discriminator = plain_loop(model, n_critic, d_loss, g_loss, adam)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in ((model.generator, generator), (model.discriminator, discriminator)):
        for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10, msg=lambda m, key=key: f"{key}: {m}")
    moved = dict(generator.named_parameters())
    start = dict(cls(**TINY, n_critic=n_critic, **options).double().generator.named_parameters())
    assert all((moved[key] - start[key]).abs().max() > 1e-5 for key in moved)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_mlp_gan_equals_a_plain_loop(n_critic: int) -> None:
    model = MLPGAN(latent_dim=4, sample_shape=[1, 16, 16], n_critic=n_critic, input_scale=0.25).double()
    generator, discriminator = plain_loop(model, n_critic, ns_d, ns_g, {"lr": 2e-4, "betas": (0.5, 0.999)})
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in ((model.generator, generator), (model.discriminator, discriminator)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)
