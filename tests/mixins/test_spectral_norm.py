"""Spectral norm in the game: initial weights, second derivatives, looking ahead, averages."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from lit_gans import GAN, compose
from lit_gans.callbacks.ema import EMA
from lit_gans.mixins import R1Penalty, SpectralNorm, Unrolled
from lit_gans.models import DCGAN, MLPGAN, SNGAN
from lit_gans.networks.dcgan import DCGANDiscriminator
from tests.conftest import TINY, fit, images

MLP: dict[str, Any] = {"latent_dim": 4, "sample_shape": [1, 16, 16]}


def raw(network: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters by the names they have without the trick."""
    return {
        name.replace("parametrizations.weight.original", "weight"): value for name, value in network.named_parameters()
    }


def vectors(model: GAN) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in model.discriminator.named_buffers() if name[-2:] in ("_u", "_v")}


def test_initial_weights_are_those_without_it() -> None:
    plain = DCGAN(**TINY, discriminator_norm="none", seed=3)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = compose(DCGAN, SpectralNorm)(**TINY, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    for ours, theirs in ((model.discriminator, plain.discriminator), (model.generator, plain.generator)):
        weights = raw(ours)
        assert weights.keys() == raw(theirs).keys()
        assert all(torch.equal(weights[name], parameter) for name, parameter in theirs.named_parameters())
    again, other = (vectors(compose(DCGAN, SpectralNorm)(**TINY, seed=seed)) for seed in (3, 4))
    assert all(torch.equal(value, again[name]) for name, value in vectors(model).items())
    assert not any(torch.equal(value, other[name]) for name, value in again.items() if value.numel() > 1)


def test_a_penalty_differentiates_twice_through_the_norm() -> None:
    """The gradient of R1 with W / (u'Wv) written out, u and v constant."""
    torch.manual_seed(0)
    model = compose(DCGAN, R1Penalty, SpectralNorm)(**TINY, r1_gamma=3.0).double()
    model.discriminator.eval()  # u and v stay
    parameters = raw(model.discriminator)
    plain = DCGANDiscriminator(16, 1, TINY["width"], "none").double()
    modules = dict(model.discriminator.named_modules())

    def by_hand(name: str, weight: Tensor) -> Tensor:
        layer = name.removesuffix(".weight")
        if layer == name:
            return weight
        found = modules[f"{layer}.parametrizations.weight.0"]
        return weight / (found._u @ weight.flatten(1) @ found._v)

    x = torch.randn(3, 1, 16, 16).double().requires_grad_()
    logits = functional_call(plain, {name: by_hand(name, weight) for name, weight in parameters.items()}, (x, None))
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    penalties = [
        1.5 * gradient.flatten(1).square().sum(1).mean(),
        model.discriminator_penalty(x.detach(), x.detach(), None),
    ]
    torch.testing.assert_close(*penalties, rtol=1e-9, atol=1e-15)
    weights = [weight for name, weight in parameters.items() if name.endswith("weight")]
    theirs, ours = (torch.autograd.grad(penalty, weights, materialize_grads=True) for penalty in penalties)
    for expected, found in zip(theirs, ours, strict=True):
        assert expected.abs().max() > 1e-9
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-13)


@pytest.mark.parametrize("unrolled_steps", [1, 3])
def test_looking_ahead_leaves_the_discriminators_vectors_alone(unrolled_steps: int) -> None:
    moved: dict[str, list[bool]] = {"discriminator": [], "generator": []}

    class Watched(MLPGAN):
        def take_turn(self, index: int, *arguments: Any, **options: Any) -> dict[str, Tensor]:
            before = vectors(self)
            terms = super().take_turn(index, *arguments, **options)
            after = vectors(self)
            hidden = [name for name in before if name.startswith("hidden")]  # the output's one row has converged
            moved[self.game[index].name] += [not torch.equal(before[name], after[name]) for name in hidden]
            return terms

    fit(compose(Watched, SpectralNorm, Unrolled)(**MLP, unrolled_steps=unrolled_steps), images(16), max_epochs=1)
    assert len(moved["discriminator"]) == len(moved["generator"]) == 2 * 4
    assert all(moved["discriminator"])
    assert not any(moved["generator"])


@pytest.mark.parametrize("iterations", [1, 2])
def test_every_pass_makes_so_many_steps_of_the_power_method(iterations: int) -> None:
    model = compose(MLPGAN, SpectralNorm)(**MLP, spectral_norm_iterations=iterations).double()
    name = "hidden.3.parametrizations.weight.0._v"
    weight, v = raw(model.discriminator)["hidden.3.weight"].detach(), vectors(model)[name]
    for _ in range(3):
        model.discriminate(torch.zeros(1, 1, 16, 16).double())
    for _ in range(3 * iterations):
        u = weight @ v / (weight @ v).norm()
        v = weight.T @ u / (weight.T @ u).norm()
    torch.testing.assert_close(vectors(model)[name], v)


def test_an_average_has_the_generators_vectors() -> None:
    ema = EMA(half_life=20.0, ramp_up=None)
    model = compose(DCGAN, SpectralNorm)(**TINY, spectral_norm_generator=True)
    fit(model, images(24), max_epochs=1, callbacks=[ema])
    buffers, average = dict(model.generator.named_buffers()), dict(ema.averages["generator"].named_buffers())
    assert buffers.keys() == average.keys()
    assert all(torch.equal(value, average[name]) for name, value in buffers.items())
    with ema.swapped(model):
        assert model.sample(3).isfinite().all()


def test_sngan_has_it_already_and_takes_batch_norm_from_the_generator_on_demand() -> None:
    with pytest.raises(ValueError, match="SNGAN has the trick SpectralNorm already: leave it out"):
        compose(SNGAN, SpectralNorm)
    model = SNGAN(**TINY, spectral_norm_generator=True)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.generator.modules())
    with pytest.raises(
        ValueError, match=r"layer norm would be two normalizations .* set model\.discriminator_norm=none"
    ):
        SNGAN(**TINY, discriminator_norm="layer")
    swapped = SNGAN(**TINY, discriminator_norm="layer", spectral_norm_discriminator=False, spectral_norm_generator=True)
    assert any(isinstance(module, torch.nn.GroupNorm) for module in swapped.discriminator.modules())
    assert vectors(swapped) == {}
