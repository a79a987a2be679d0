"""A trick's training step against a plain loop, both players' losses written by the test."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lit_gans import GAN, compose
from lit_gans.mixins import Unrolled
from lit_gans.models import MLPGAN
from tests.conftest import fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def ns_g_of_fakes(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return ns_g(discriminator, fake)


def reals() -> list[Tensor]:
    """The batches, in [-1, 1]."""
    pixels = torch.stack([item["image"] for item in images(BATCH * BATCHES)])
    return list((pixels.double() / 127.5 - 1).split(BATCH))


def plain_loop(model: GAN, n_critic: int, d_loss: Loss, g_loss: Loss, start: Callable[[nn.Module], None]) -> Any:
    """As that of the twins of models, with the real samples in the generator's loss besides."""
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    start(discriminator)
    optimizer_g, optimizer_d = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, discriminator)
    )
    for i, real in enumerate(reals()):
        last = (i + 1) % n_critic == 0
        torch.manual_seed(model.key("shared", i, 0) if last else model.key("discriminator", i, 0))
        fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        if last:
            torch.manual_seed(model.key("discriminator", i, 0))
        optimizer_d.zero_grad()
        d_loss(discriminator, real, fake.detach()).backward()
        optimizer_d.step()
        if last:
            optimizer_g.zero_grad()
            g_loss(discriminator, real, fake).backward()
            optimizer_g.step()
    return generator, discriminator


def check_twin(
    model: GAN,
    n_critic: int,
    d_loss: Loss = ns_d,
    g_loss: Loss = ns_g_of_fakes,
    start: Callable[[nn.Module], None] = lambda discriminator: None,
) -> None:
    """All weights are equal after several batches, and not those of the start."""
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    twins = plain_loop(model, n_critic, d_loss, g_loss, start)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")
    assert all((parameter - before[name]).abs().max() > 1e-5 for name, parameter in model.named_parameters())


def check_looked_ahead(trick: type[GAN], **options: Any) -> None:
    """Unrolled, the generator's gradient is that of finite differences, for a step of the discriminator ahead.

    So nothing is taken for a constant that depends on the generator by way of that step.
    """
    torch.manual_seed(0)
    sizes = {"latent_dim": 2, "sample_shape": [2], "generator_hidden": [3], "discriminator_hidden": [4]}
    sgd = {"name": "sgd", "lr": 0.5}
    cls = compose(MLPGAN, trick, Unrolled)
    model = cls(**sizes, **options, unrolled_steps=1, discriminator_optimizer=sgd).double()
    points = [{"image": point} for point in torch.randn(16, 2, dtype=torch.double)]
    fit(model, points, 8, max_steps=1, precision="64-true")
    batch = {"image": torch.stack([point["image"] for point in points[8:]])}

    def objective() -> Tensor:
        torch.manual_seed(0)
        with model.frozen_but(1):
            return model.generator_objective(batch)["loss/generator"]

    weight = model.generator.output.weight
    (gradient,) = torch.autograd.grad(objective(), weight)
    for index in ((0, 0), (1, 2)):
        values = []
        for change in (1e-5, -2e-5):
            with torch.no_grad():
                weight[index] += change
            values.append(float(objective().detach()))
        with torch.no_grad():
            weight[index] += 1e-5
        assert float(gradient[index]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)
