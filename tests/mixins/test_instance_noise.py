"""Instance noise: its schedule, whom it meets, and a plain loop."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lit_gans import compose
from lit_gans.mixins import InstanceNoise
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g, plain_loop

Noisy = compose(DCGAN, InstanceNoise)
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


@pytest.mark.parametrize(("n_critic", "length"), [(1, 1000), (1, 4), (2, 4)])
def test_equals_a_plain_loop(n_critic: int, length: int) -> None:
    """Noise of its own on whatever D sees, 0.7 (1 - t/T) of it after t generator updates."""
    model = Noisy(**TINY, n_critic=n_critic, noise_sigma=0.7, noise_updates=length).double()
    turns = []

    def noisy(discriminator: Any) -> Any:
        sigma = max(0.0, 0.7 - 0.7 * len(turns) / length)
        return lambda x: discriminator(x + sigma * torch.randn_like(x))

    def g_loss(discriminator: Any, fake: Tensor) -> Any:
        loss = ns_g(noisy(discriminator), fake)
        turns.append(loss)
        return loss

    twins = plain_loop(model, n_critic, lambda d, x, g: ns_d(noisy(d), x, g), g_loss, ADAM)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


class Seen(InstanceNoise):
    """Notes the standard deviation of the noise of every pass of D, and whether there was any."""

    def discriminator_input(self, x: Tensor) -> Tensor:
        y = super().discriminator_input(x)
        seen = self.__dict__.setdefault("seen", [])
        seen.append((self.global_step, float((y - x).detach().std()), y is x))
        return y


def test_sigma_falls_linearly_to_exactly_0() -> None:
    model = compose(MLPGAN, Seen)(latent_dim=4, sample_shape=[1, 64, 64], noise_sigma=0.2, noise_updates=4)
    fit(model, images(64, size=64), 8, max_epochs=1)
    expected = {step: max(0.0, 0.2 * (1 - step / 4)) for step in range(8)}
    assert [step for step, _, _ in model.seen] == [step for step in range(8) for _ in range(3)]
    for step, std, same in model.seen:
        assert std == pytest.approx(expected[step], rel=0.05, abs=0)
        assert same == (step >= 4)
    assert model.sigma == 0
    x = torch.randn(3, 1, 64, 64)
    assert model.discriminator_input(x) is x
    assert torch.equal(model.discriminate(x), model.discriminator(x))


def test_without_sigma_nothing_changes() -> None:
    weights = []
    for cls, options in ((DCGAN, {}), (Noisy, {"noise_sigma": 0.0, "noise_updates": 5})):
        model = cls(**TINY, **options)
        fit(model, images(32), 8, max_epochs=1)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)


def test_by_default_it_lasts_as_long_as_the_run() -> None:
    weights = []
    for length in (None, 6, 7):
        model = Noisy(**TINY, noise_updates=length)
        fit(model, images(64), 8, max_steps=6)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    again = Noisy(**TINY)
    for steps in (2, 6):  # each fit has its own length
        fit(again, images(64), 8, max_steps=steps)
        assert again.noise_length == steps


def test_noise_is_normal_and_of_its_own_for_every_number() -> None:
    model = Noisy(**TINY, noise_sigma=0.3, noise_updates=5)
    x = torch.ones(500, 1, 16, 16)
    first, second = (model.discriminator_input(x) - x for _ in range(2))
    assert float(first.std()) == pytest.approx(0.3, rel=0.01)
    assert float(first.mean()) == pytest.approx(0, abs=0.005)
    assert float((first.abs() > 0.6).float().mean()) == pytest.approx(0.0455, abs=0.003)
    assert not torch.isclose(first, second).any(1).all()
    assert len(first.flatten().unique()) > 0.9 * first.numel()


@pytest.mark.parametrize("n", [1, 3])
def test_points_have_noise_too(n: int) -> None:
    model = compose(MLPGAN, InstanceNoise)(noise_sigma=0.5)
    x = torch.zeros(n, 2).double()
    y = model.discriminator_input(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert bool((y != 0).all())


def test_without_a_length_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"set tricks\.instance_noise\.noise_updates or trainer\.max_steps"):
        fit(Noisy(**TINY), images(8), max_epochs=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"noise_sigma": -0.1}, r"noise_sigma must be at least 0, got -0\.1"),
        ({"noise_updates": 0}, "noise_updates must be at least 1, or null for the whole run, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Noisy(**TINY, **options)
