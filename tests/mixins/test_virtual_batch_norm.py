"""Virtual batch norm in the game: the whole generator by hand, in two passes; the reference in averages and seeds."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

from lit_gans import compose
from lit_gans.callbacks.ema import EMA
from lit_gans.mixins import VirtualBatchNorm
from lit_gans.models import DCGAN, MLPGAN, R3GAN
from tests.conftest import TINY, fit, images

SIZE = 5


def made(**options: object) -> DCGAN:
    model: DCGAN = compose(DCGAN, VirtualBatchNorm)(**{**TINY, "vbn_reference": SIZE, **options})
    return model


def by_hand(network: nn.Module, reference: Tensor, latent: Tensor) -> Tensor:
    """As in the paper's code: the reference leaves each layer its mean and mean square, each sample adds its own."""
    x, r = latent[:, :, None, None], reference[:, :, None, None]
    for stage, (up, norm, _) in enumerate(network.stages):
        stride, padding = (2, 1) if stage else (1, 0)
        x, r = (conv_transpose2d(y, up.weight, None, stride, padding) for y in (x, r))
        mean_ref, square_ref = r.mean((0, 2, 3), keepdim=True), r.pow(2).mean((0, 2, 3), keepdim=True)
        mean = x.mean((2, 3), keepdim=True) / (SIZE + 1) + mean_ref * SIZE / (SIZE + 1)
        square = x.pow(2).mean((2, 3), keepdim=True) / (SIZE + 1) + square_ref * SIZE / (SIZE + 1)
        gain, bias = norm.weight[:, None, None], norm.bias[:, None, None]
        x = torch.relu(gain * (x - mean) / (1e-5 + square - mean**2).sqrt() + bias)
        r = torch.relu(gain * (r - mean_ref) / (1e-5 + square_ref - mean_ref**2).sqrt() + bias)
    return torch.tanh(conv_transpose2d(x, network.output.weight, None, 2, 1))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_whole_generator_by_hand(n: int) -> None:
    torch.manual_seed(0)
    model = made().double()
    latent, weights = torch.randn(n, 8).double(), torch.randn(n, 1, 16, 16).double()
    network, parameters = model.generator.network, list(model.generator.parameters())
    outputs = [model(latent), by_hand(network, model.generator.latent, latent)]
    torch.testing.assert_close(*outputs, rtol=1e-8, atol=1e-10)
    ours, theirs = (torch.autograd.grad((weights * out).sum(), parameters) for out in outputs)
    for found, expected in zip(ours, theirs, strict=True):
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_no_sample_feels_another_in_either_mode() -> None:
    torch.manual_seed(0)
    model = made().double()
    latent = torch.randn(4, 8).double().requires_grad_()
    fakes = [model.train()(latent), model.eval()(latent)]
    assert torch.equal(*fakes)
    (gradient,) = torch.autograd.grad(fakes[0][2].square().sum(), latent)
    assert [bool(row.abs().max() > 1e-9) for row in gradient] == [False, False, True, False]


def test_the_reference_is_drawn_once_from_the_prior() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = made(vbn_reference=5000)
    assert torch.equal(torch.get_rng_state(), before)
    reference = model.generator.latent
    assert reference.mean().item() == pytest.approx(0, abs=5 / 40_000**0.5)
    assert reference.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(made(vbn_reference=5000).generator.latent, reference)
    assert not torch.equal(made(vbn_reference=5000, seed=1).generator.latent, reference)
    plain = DCGAN(**TINY)
    for ours, theirs in zip(model.discriminator.parameters(), plain.discriminator.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_average_and_a_checkpoint_have_the_reference() -> None:
    ema, model = EMA(half_life=20.0, ramp_up=None), made()
    before = model.generator.latent.clone()
    fit(model, images(24), max_epochs=1, callbacks=[ema])
    assert torch.equal(ema.averages["generator"].latent, before)
    other = made(seed=1)
    assert not torch.equal(other.generator.latent, before)
    other.load_state_dict(model.state_dict())
    latent = torch.randn(3, 8)
    assert torch.equal(other(latent), model(latent))
    with ema.swapped(model):
        assert not torch.equal(other(latent), model(latent))


@pytest.mark.parametrize("norm", ["batch", "none", "virtual"])
def test_in_the_place_of_batch_norm_or_of_none(norm: str) -> None:
    assert made(generator_norm=norm).generator_norm == "virtual"
    points = compose(MLPGAN, VirtualBatchNorm)(generator_norm=norm, vbn_reference=SIZE)
    assert points.sample(3).shape == (3, 2)


def test_a_generator_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"this model's generator has none: use model=dcgan, or leave it out"):
        compose(R3GAN, VirtualBatchNorm)(image_size=16, image_channels=1, width=4, latent_dim=8)


def test_in_half_precision() -> None:
    model, latent = made(), torch.randn(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(latent).float(), model(latent), rtol=0, atol=0, check_dtype=False)
        half = model(latent).float()
    torch.testing.assert_close(half, model(latent), rtol=0.1, atol=0.05)
