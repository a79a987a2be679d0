"""The models that are composed of tricks, and tricks on the turns, against a plain loop written from their papers."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lit_gans import GAN, compose
from lit_gans.mixins import (
    TTUR,
    DRAGANPenalty,
    GeneratorTurns,
    GradientPenalty,
    LazyPenalties,
    OneSidedLabelSmoothing,
    R1Penalty,
    R2Penalty,
    WeightClipping,
    WeightDecay,
)
from lit_gans.models import DCGAN, DRAGAN, LSGAN, R3GAN, RSGAN, WGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import ns_d, ns_g

BATCH, BATCHES, LR = 8, 6, 2e-4
NO_BN = {"discriminator_norm": "none"}
Loss = Callable[..., Tensor]


def adam(parameters: Any, lr: float = LR, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr, (0.5, 0.999), **options)


def plain_loop(
    model: GAN,
    d_loss: Loss,
    g_loss: Loss,
    *,
    make_d: Callable[..., torch.optim.Optimizer] = adam,
    make_g: Callable[..., torch.optim.Optimizer] = adam,
    n_critic: int = 1,
    generator_turns: int = 1,
    clip: float | None = None,
) -> tuple[nn.Module, nn.Module]:
    """n_critic discriminator steps, or generator_turns generator steps, a round; one of the other on the last batch."""
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizer_g, optimizer_d = make_g(generator.parameters()), make_d(discriminator.parameters())
    length, turns = max(n_critic, generator_turns), {"discriminator": 0, "generator": 0}

    def bound() -> None:
        for parameter in discriminator.parameters() if clip else ():
            parameter.data.clamp_(-(clip or 0), clip or 0)

    for i, real in enumerate(torch.stack([item["image"] for item in images(BATCH * BATCHES)]).split(BATCH)):
        x = real.double() / 127.5 - 1
        place = i % length
        playing = [
            name
            for name, count in (("discriminator", n_critic), ("generator", generator_turns))
            if place >= length - count
        ]
        fake = None
        if len(playing) == 2:
            torch.manual_seed(model.key("shared", i, 0))
            fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        for name in playing:
            torch.manual_seed(model.key(name, turns[name], 0))
            g = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double)) if fake is None else fake
            optimizer = optimizer_d if name == "discriminator" else optimizer_g
            optimizer.zero_grad()
            if name == "discriminator":
                bound()
                d_loss(discriminator, x, g.detach(), turns[name]).backward()
            else:
                g_loss(discriminator, x, g).backward()
            optimizer.step()
            if name == "discriminator":
                bound()
            turns[name] += 1
    return generator, discriminator


def check(model: GAN, d_loss: Loss, g_loss: Loss, still: tuple[str, ...] = (), **options: Any) -> None:
    """All weights are equal after several batches, and all but a few have moved."""
    model = model.double()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    twins = plain_loop(model, d_loss, g_loss, **options)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")
    moved = {name for name, parameter in model.named_parameters() if (parameter - before[name]).abs().max() > 1e-6}
    assert before.keys() - moved == set(still)


def squared_slope(discriminator: nn.Module, x: Tensor) -> Tensor:
    """The mean over the samples of the squared norm of the gradient, one by one."""
    total = torch.zeros((), dtype=torch.double)
    for sample in x:
        place = sample[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(place).sum(), place, create_graph=True)
        total = total + slope.pow(2).sum()
    return total / len(x)


def dragan_term(discriminator: nn.Module, x: Tensor) -> Tensor:
    noise = x + 0.5 * x.std(correction=0) * torch.rand_like(x)
    weight = torch.rand(len(x), 1, 1, 1, dtype=x.dtype)
    total = torch.zeros((), dtype=torch.double)
    for a, sample, moved in zip(weight, x, noise, strict=True):
        place = (a * sample + (1 - a) * moved)[None].requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(place).sum(), place, create_graph=True)
        total = total + (slope.norm() - 1) ** 2
    return total / len(x)


def test_wgan() -> None:
    clip, rmsprop = 0.01, lambda parameters: torch.optim.RMSprop(parameters, 5e-5)
    check(
        WGAN(**TINY, n_critic=2),
        lambda d, x, g, turn: d(g).mean() - d(x).mean(),
        lambda d, x, g: -d(g).mean(),
        make_d=rmsprop,
        make_g=rmsprop,
        n_critic=2,
        clip=clip,
    )


@pytest.mark.parametrize(("pearson", "a", "b", "c"), [(False, 0, 1, 1), (True, -1, 1, 0)])
def test_lsgan(pearson: bool, a: float, b: float, c: float) -> None:
    check(
        LSGAN(**TINY, pearson=pearson),
        lambda d, x, g, turn: ((d(x) - b) ** 2).mean() / 2 + ((d(g) - a) ** 2).mean() / 2,
        lambda d, x, g: ((d(g) - c) ** 2).mean() / 2,
    )


def test_dragan() -> None:
    check(
        DRAGAN(**TINY, dragan_weight=3.0),
        lambda d, x, g, turn: ns_d(d, x, g) + 3.0 * dragan_term(d, x),
        lambda d, x, g: ns_g(d, g),
    )


@pytest.mark.parametrize("average", [False, True])
def test_rsgan(average: bool) -> None:
    def of(better: Tensor, worse: Tensor) -> Tensor:
        if not average:
            return -torch.log(torch.sigmoid(better - worse)).mean()
        above, below = better - worse.mean(), worse - better.mean()
        return -(torch.log(torch.sigmoid(above)).mean() + torch.log(1 - torch.sigmoid(below)).mean()) / 2

    check(
        RSGAN(**TINY, relativistic_average=average),
        lambda d, x, g, turn: of(d(x), d(g)),
        lambda d, x, g: of(*[d(x), d(g)][::-1]),
    )


def test_r3gan() -> None:
    model = R3GAN(**TINY, blocks=1, r1_gamma=2.0, r2_gamma=0.5, discriminator_optimizer={"name": "adam", "lr": LR})
    torch.manual_seed(0)
    for module in model.modules():  # the blocks begin as the identity, where half of the weights feel nothing
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.normal_(module.weight, 0, 0.1)
    check(
        model,
        lambda d, x, g, turn: softplus(d(g) - d(x)).mean() + squared_slope(d, x) + 0.25 * squared_slope(d, g),
        lambda d, x, g: softplus(d(x) - d(g)).mean(),
        still=("discriminator.output.bias",),  # both kinds of logits have it, and only their difference counts
        make_d=lambda parameters: torch.optim.Adam(parameters, LR),
        make_g=lambda parameters: torch.optim.Adam(parameters, LR, (0.0, 0.99)),
    )


def test_r3gan_lets_gamma_fall_to_a_tenth() -> None:
    model, real = R3GAN(**TINY, blocks=1, gamma_ramp=4), torch.randn(3, 1, 16, 16)

    def penalty(updates: int) -> float:
        model.turns_taken["generator"] = updates
        return float(model.discriminator_penalty(real, -real, None).detach())

    whole = float(R3GAN(**TINY, blocks=1).discriminator_penalty(real, -real, None).detach())
    shares = [1, 0.1 + 0.45 * (1 + 0.5**0.5), 0.55, 0.1 + 0.45 * (1 - 0.5**0.5), 0.1, 0.1]
    assert [penalty(updates) / whole for updates in (0, 1, 2, 3, 4, 9)] == pytest.approx(shares, rel=1e-5)
    with pytest.raises(ValueError, match="gamma_ramp must be at least 1, or null"):
        R3GAN(**TINY, gamma_ramp=0)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_r3gan_samples_within_bounds_that_its_generator_has_not(n: int) -> None:
    model, latent = R3GAN(**TINY), 5 * torch.randn(n, 8)
    raw = model.generator(latent).detach()
    assert float(raw.abs().max()) > 1
    torch.testing.assert_close(model.sample(n, latent=latent), raw.clamp(-1, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", [LSGAN, DRAGAN])
def test_smoothed_labels_reach_every_loss_that_has_labels(model: type[GAN]) -> None:
    def loss(d: nn.Module, x: Tensor, g: Tensor, turn: int) -> Tensor:
        if model is LSGAN:
            return ((d(x) - 0.8) ** 2).mean() / 2 + (d(g) ** 2).mean() / 2
        return ns_d(d, x, g, 0.8) + 10.0 * dragan_term(d, x)

    check(
        compose(model, OneSidedLabelSmoothing)(**TINY, smooth_target=0.8),
        loss,
        lambda d, x, g: ((d(g) - 1) ** 2).mean() / 2 if model is LSGAN else ns_g(d, g),
    )


@pytest.mark.parametrize("model", [WGAN, RSGAN, R3GAN])
def test_losses_without_labels_refuse_smoothed_ones(model: type[GAN]) -> None:
    with pytest.raises(ValueError, match="this model's loss has none"):
        compose(model, OneSidedLabelSmoothing)(**TINY)


def test_r2() -> None:
    check(
        compose(DCGAN, R2Penalty)(**TINY, **NO_BN, r2_gamma=4.0),
        lambda d, x, g, turn: ns_d(d, x, g) + 2.0 * squared_slope(d, g),
        lambda d, x, g: ns_g(d, g),
    )


def test_lazy() -> None:
    check(
        compose(DCGAN, R2Penalty, LazyPenalties, R1Penalty)(**TINY, **NO_BN, lazy_every=3, r1_gamma=4.0, r2_gamma=2.0),
        lambda d, x, g, turn: ns_d(d, x, g) + squared_slope(d, g) + (0 if turn % 3 else 3 * 2.0 * squared_slope(d, x)),
        lambda d, x, g: ns_g(d, g),
    )


@pytest.mark.parametrize("turns", [2, 3])
def test_generator_turns(turns: int) -> None:
    check(
        compose(DCGAN, GeneratorTurns)(**TINY, generator_turns=turns),
        lambda d, x, g, turn: ns_d(d, x, g),
        lambda d, x, g: ns_g(d, g),
        generator_turns=turns,
    )


def test_weight_clipping_with_any_loss() -> None:
    check(
        compose(DCGAN, WeightClipping)(**TINY, **NO_BN, clip_value=0.03),
        lambda d, x, g, turn: ns_d(d, x, g),
        lambda d, x, g: ns_g(d, g),
        clip=0.03,
    )


def test_ttur() -> None:
    check(
        compose(DCGAN, TTUR)(**TINY, ttur_generator_lr=1e-3, ttur_discriminator_lr=3e-3),
        lambda d, x, g, turn: ns_d(d, x, g),
        lambda d, x, g: ns_g(d, g),
        make_g=lambda parameters: adam(parameters, 1e-3),
        make_d=lambda parameters: adam(parameters, 3e-3),
    )


@pytest.mark.parametrize(("in_g", "in_d"), [(True, True), (True, False), (False, True)])
def test_weight_decay(in_g: bool, in_d: bool) -> None:
    options = {"weight_decay_value": 0.1, "weight_decay_generator": in_g, "weight_decay_discriminator": in_d}
    check(
        compose(DCGAN, WeightDecay)(**TINY, **options),
        lambda d, x, g, turn: ns_d(d, x, g),
        lambda d, x, g: ns_g(d, g),
        make_g=lambda parameters: adam(parameters, weight_decay=0.1 * in_g),
        make_d=lambda parameters: adam(parameters, weight_decay=0.1 * in_d),
    )


@pytest.mark.parametrize(
    ("name", "penalty"),
    [("r1", R1Penalty), ("r2", R2Penalty), ("wgan_gp", GradientPenalty), ("dragan", DRAGANPenalty)],
)
def test_penalties_at_each_sample_refuse_batch_norm(name: str, penalty: type[GAN]) -> None:
    sentence = rf"^{name} penalises .* batch norm .* set model\.discriminator_norm=none .*tricks\.{name}=null"
    with pytest.raises(ValueError, match=sentence):
        compose(DCGAN, penalty)(**TINY)
    compose(DCGAN, penalty)(**TINY, **NO_BN)
