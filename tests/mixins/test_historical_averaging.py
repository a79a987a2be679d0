"""Historical averaging in the turn: against a plain loop that keeps every past vector of weights."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from torch.nn.utils.parametrizations import spectral_norm

import lit_gans
from lit_gans import compose
from lit_gans.mixins import HistoricalAveraging
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g

Averaging = compose(DCGAN, HistoricalAveraging)
SMALL = {"latent_dim": 2, "sample_shape": [1, 16, 16], "generator_hidden": [4], "discriminator_hidden": [4]}


def history_term(network: nn.Module, past: list[Tensor], weight: float) -> Tensor:
    """weight ||theta - mean||^2, the mean of all that the network was at the beginning of its turns so far."""
    theta = parameters_to_vector(network.parameters())
    past.append(theta.detach().clone())
    return weight * (theta - torch.stack(past).mean(0)).square().sum()


def plain_loop(model: Any, n_critic: int, weight: float, held: tuple[bool, bool]) -> tuple[nn.Module, nn.Module]:
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizer_g, optimizer_d = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, discriminator)
    )
    past: tuple[list[Tensor], list[Tensor]] = ([], [])
    reals = torch.stack([item["image"] for item in images(BATCH * BATCHES)]).double().split(BATCH)
    for i, real in enumerate(reals):
        last = (i + 1) % n_critic == 0
        torch.manual_seed(model.key("shared", i, 0) if last else model.key("discriminator", i, 0))
        fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        optimizer_d.zero_grad()
        (
            ns_d(discriminator, real / 127.5 - 1, fake.detach())
            + held[0] * history_term(discriminator, past[0], weight)
        ).backward()
        optimizer_d.step()
        if last:
            optimizer_g.zero_grad()
            (ns_g(discriminator, fake) + held[1] * history_term(generator, past[1], weight)).backward()
            optimizer_g.step()
    return generator, discriminator


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("held", [(True, True), (True, False), (False, True)])
def test_equals_a_plain_loop(held: tuple[bool, bool], n_critic: int) -> None:
    options = {"history_weight": 7.0, "history_discriminator": held[0], "history_generator": held[1]}
    model = Averaging(**TINY, **options, n_critic=n_critic).double()
    twins = plain_loop(model, n_critic, 7.0, held)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_value_and_gradient_in_the_turn(weight: float) -> None:
    """A mean that is theta - 1 everywhere: weight * (number of parameters), gradient 2 weight everywhere."""
    model = compose(MLPGAN, HistoricalAveraging)(**SMALL, history_weight=weight).double()
    real = fake = torch.zeros(3, 1, 16, 16, dtype=torch.double)
    hooks = {"discriminator": model.discriminator_penalty, "generator": model.generator_penalty}
    for player, hook in hooks.items():
        assert float(hook(real, fake, None).detach()) == 0  # it has no past yet
        parameters = dict(getattr(model, player).named_parameters())
        model.history.means[player] = {name: value.detach() - 1 for name, value in parameters.items()}
        term = hook(real, fake, None)
        count = sum(value.numel() for value in parameters.values())
        torch.testing.assert_close(term, torch.tensor(weight * count).double(), rtol=1e-10, atol=0)
        term.backward()
        for value in parameters.values():
            torch.testing.assert_close(value.grad, torch.full_like(value, 2 * weight), rtol=1e-10, atol=0)
            value.grad = None
        model.history.means[player] = {}


def test_parts_of_a_batch_are_one_turn() -> None:
    """The mean counts turns, and the term is not added up over the parts."""
    models = [
        compose(MLPGAN, HistoricalAveraging)(**SMALL, history_weight=3.0, accumulate=parts).double() for parts in (1, 2)
    ]
    for model in models:
        model.generate = lambda batch, model=model: model.generator(batch["image"].flatten(1)[:, :2])
        fit(model, images(32), max_epochs=1, precision="64-true")
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_a_strong_weight_holds_the_players_where_they_were() -> None:
    def travelled(weight: float) -> float:
        sgd = {"name": "sgd", "lr": 0.05}
        model = compose(MLPGAN, HistoricalAveraging)(
            **SMALL, history_weight=weight, generator_optimizer=sgd, discriminator_optimizer=sgd
        )
        start = parameters_to_vector(model.parameters()).detach().clone()
        fit(model, images(64), max_steps=40)
        return float((parameters_to_vector(model.parameters()) - start).norm().detach())

    assert travelled(2.0) < 0.6 * travelled(0.0)


class WithSpectralNorm(DCGAN):
    """A DCGAN whose discriminator has a parametrized weight."""

    def build_discriminator(self) -> nn.Module:
        discriminator = super().build_discriminator()
        spectral_norm(discriminator.output)
        return discriminator


def test_parametrized_weights_are_averaged_as_what_is_trained() -> None:
    model = compose(WithSpectralNorm, HistoricalAveraging)(**TINY)
    fit(model, images(16), max_epochs=1)
    assert model.history.means["discriminator"].keys() == dict(model.discriminator.named_parameters()).keys()
    assert "output.parametrizations.weight.original" in model.history.means["discriminator"]


def test_compiled_networks_train_as_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    real_compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, *_: real_compile(self, backend="eager"))
    models = [compose(MLPGAN, HistoricalAveraging)(**SMALL, history_weight=5.0, compile=flag) for flag in (False, True)]
    for model in models:
        fit(model, images(32), max_epochs=1)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_weights_that_stand_in_are_held_in_their_place() -> None:
    """Who looks ahead minimises the term of the weights that it would have."""
    model = compose(MLPGAN, HistoricalAveraging)(**SMALL, history_weight=2.0)
    weights = {name: value.detach().clone() for name, value in model.discriminator.named_parameters()}
    model.history.means["discriminator"] = {name: value.clone() for name, value in weights.items()}
    ahead = {name: (value + 1).requires_grad_() for name, value in weights.items()}
    with model.standing_in(discriminator=ahead):
        term = model.discriminator_penalty(torch.zeros(1), torch.zeros(1), None)
    term.backward()
    assert all(torch.allclose(value.grad, torch.full_like(value, 4.0)) for value in ahead.values())


def test_a_checkpoint_holds_the_means_of_the_players_that_are_held(tmp_path: Path) -> None:
    for held, keys in (((True, True), {"discriminator", "generator"}), ((False, True), {"generator"})):
        model = Averaging(**TINY, history_discriminator=held[0], history_generator=held[1])
        runner = fit(model, images(24), max_epochs=1)
        runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
        loaded = lit_gans.load(tmp_path / "a.ckpt")
        assert loaded.history.means.keys() == keys
        for player, means in loaded.history.means.items():
            assert means.keys() == dict(getattr(loaded, player).named_parameters()).keys()
            assert all(torch.equal(value, model.history.means[player][name]) for name, value in means.items())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"history_weight": -1.0}, r"history_weight must be at least 0, got -1\.0"),
        ({"history_discriminator": False, "history_generator": False}, "holds nobody: set history_discriminator or"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose(MLPGAN, HistoricalAveraging)(**options)
