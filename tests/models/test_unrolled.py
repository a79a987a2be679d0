"""The model of Unrolled GANs: the settings of its paper's ring, and what its generator minimises."""

from typing import Any

import pytest
import torch
from torch import nn

from lit_gans.models import MLPGAN, UnrolledGAN
from tests.conftest import fit


def test_the_networks_are_those_of_the_ring() -> None:
    model = UnrolledGAN()
    generator, discriminator = (
        [tuple(module.weight.shape) for module in network.modules() if isinstance(module, nn.Linear)]
        for network in (model.generator, model.discriminator)
    )
    assert generator == [(128, 256), (128, 128), (2, 128)]
    assert discriminator == [(128, 2), (1, 128)]
    for module in model.modules():
        if isinstance(module, nn.Linear):
            values = torch.linalg.svdvals(module.weight.detach())
            torch.testing.assert_close(values, torch.full_like(values, 0.8))
            assert not module.bias.any()
    point = torch.tensor([[1.0, -2.0]])
    first = model.discriminator.hidden[0]
    expected = model.discriminator.output((first(point / 4)).relu()).flatten()
    torch.testing.assert_close(model.discriminator(point), expected)
    assert model.generator_optimizer == model.discriminator_optimizer
    assert model.generator_optimizer == {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.999]}
    assert model.ahead == {"steps": 10, "stop_gradient": False, "exchange": False, "compiled": False}


@pytest.mark.parametrize("saturating", [False, True])
def test_the_generators_loss(saturating: bool) -> None:
    """-E log s(l), or E log(1 - s(l)) if it saturates: their slopes in l are -s(-l) / N and -s(l) / N."""
    model = UnrolledGAN(saturating=saturating)
    logits = torch.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    model.generator_logits = lambda fake, condition: logits  # type: ignore[method-assign]
    loss = model.generator_loss(torch.zeros(3, 2), torch.zeros(3, 2), None)
    sigmoid = torch.sigmoid(logits.detach().double())
    expected = (1 - sigmoid).log().mean() if saturating else -sigmoid.log().mean()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-6)
    (slope,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(slope.double(), -(sigmoid if saturating else 1 - sigmoid) / 3, rtol=1e-5, atol=1e-8)


def test_without_steps_it_is_the_fully_connected_gan() -> None:
    def weights(cls: type[MLPGAN], **options: Any) -> torch.Tensor:
        model = cls(**options)
        fit(
            model,
            [{"image": point} for point in torch.randn(32, 2, generator=torch.Generator().manual_seed(0))],
            8,
            max_epochs=1,
        )
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    adam = {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.999]}
    same = {"latent_dim": 256, "discriminator_hidden": [128], "input_scale": 0.25, "orthogonal_gain": 0.8}
    optimizers = {"generator_optimizer": adam, "discriminator_optimizer": adam}
    plain = weights(MLPGAN, **same, **optimizers)
    assert torch.equal(plain, weights(UnrolledGAN, unrolled_steps=0))
    assert not torch.equal(plain, weights(UnrolledGAN, unrolled_steps=1))
    assert not torch.equal(plain, weights(UnrolledGAN, unrolled_steps=0, saturating=True))
