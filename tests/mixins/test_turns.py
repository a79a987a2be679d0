"""Tricks on the turns and on the weights: what a turn leaves behind, what is refused, what stays as it was given."""

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from lit_gans import compose, penalties
from lit_gans.layers.dropout import Dropout, add_dropout
from lit_gans.mixins import (
    TTUR,
    DRAGANPenalty,
    GeneratorDropout,
    GeneratorTurns,
    LazyPenalties,
    R1Penalty,
    R2Penalty,
    SpectralNorm,
    Unrolled,
    WeightClipping,
    WeightDecay,
)
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images

NO_BN = {**TINY, "discriminator_norm": "none"}


@pytest.mark.parametrize(
    ("name", "tricks", "options", "sentence"),
    [
        ("r2", [R2Penalty], {"r2_gamma": -1.0}, r"r2_gamma must be at least 0, got -1\.0"),
        ("r2", [R2Penalty], {"discriminator_norm": "batch"}, "r2 penalises .* batch norm"),
        ("dragan", [DRAGANPenalty], {"dragan_weight": -1.0}, "dragan_weight must be at least 0"),
        ("dragan", [DRAGANPenalty], {"discriminator_norm": "batch"}, "dragan penalises .* batch norm"),
        ("lazy", [LazyPenalties, R1Penalty], {"lazy_every": 0}, "lazy_every must be at least 1, got 0"),
        ("lazy", [LazyPenalties], {}, r"there is none: name it before them, as in tricks=\[lazy,r1\]"),
        ("lazy", [R1Penalty, LazyPenalties], {}, "there is none: name it before them"),
        ("weight_clipping", [WeightClipping], {"clip_value": 0.0}, "clip_value must be above 0"),
        ("weight_clipping", [WeightClipping, Unrolled], {}, "weight_clipping"),
        ("weight_clipping", [Unrolled, WeightClipping], {}, "weight_clipping"),
        ("weight_clipping", [WeightClipping, SpectralNorm], {}, r"tricks\.spectral_norm=null"),
        ("ttur", [TTUR], {"ttur_generator_lr": 0.0}, "ttur_generator_lr must be above 0, or null"),
        ("generator_turns", [GeneratorTurns], {"generator_turns": 0}, "generator_turns must be at least 1"),
        ("generator_turns", [GeneratorTurns], {"n_critic": 2}, r"set model\.n_critic=1"),
        ("generator_dropout", [GeneratorDropout], {"generator_dropout_p": 1.0}, r"at least 0 and below 1, got 1\.0"),
        ("weight_decay", [WeightDecay], {"weight_decay_value": -1e-5}, "weight_decay_value must be at least 0"),
    ],
)
def test_refusals(name: str, tricks: list[type], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose(DCGAN, *tricks)(**{**NO_BN, **options})


def test_lazy_penalties_are_not_even_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real_r1 = penalties.r1
    monkeypatch.setattr(penalties, "r1", lambda *args: calls.append(1) or real_r1(*args))
    model = compose(DCGAN, LazyPenalties, R1Penalty)(**NO_BN, lazy_every=3)
    fit(model, images(56), max_epochs=1)
    assert model.turns_taken["discriminator"] == 7
    assert len(calls) == 3


def test_no_player_meets_a_weight_outside_with_weight_clipping(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[float] = []
    model = compose(DCGAN, WeightClipping)(**NO_BN, clip_value=0.005)
    real = model.discriminate

    def watched(*args: Any) -> Any:
        met.append(max(float(parameter.detach().abs().max()) for parameter in model.discriminator.parameters()))
        return real(*args)

    monkeypatch.setattr(model, "discriminate", watched)
    fit(model, images(24), max_epochs=1)
    assert max(met) == pytest.approx(0.005, rel=1e-6)
    assert max(float(parameter.detach().abs().max()) for parameter in model.discriminator.parameters()) <= 0.005 + 1e-9
    assert max(float(parameter.detach().abs().max()) for parameter in model.generator.parameters()) > 0.01


def test_ttur_and_weight_decay_leave_given_optimizers_what_the_checkpoint_says() -> None:
    given = {"name": "adam", "lr": 1e-2}
    model = compose(DCGAN, TTUR, WeightDecay)(**TINY, generator_optimizer=given, ttur_discriminator_lr=None)
    assert given == {"name": "adam", "lr": 1e-2}
    assert model.hparams["generator_optimizer"] == given
    assert model.generator_optimizer == {"name": "adam", "lr": 1e-4, "weight_decay": 1e-5}
    assert model.discriminator_optimizer["lr"] == 2e-4


def test_generator_turns_cause_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", module="lightning")
        model = compose(DCGAN, GeneratorTurns)(**TINY, lr_schedule={"name": "cosine"})
        runner = fit(model, images(64), max_steps=6)
    assert runner.global_step == model.turns_taken["generator"] == 6
    assert model.turns_taken["discriminator"] == 2


@pytest.mark.parametrize("at_sampling", [False, True])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_generator_dropout_follows_every_activation(at_sampling: bool, n: int) -> None:
    network = nn.Sequential(nn.Linear(4, 200), nn.ReLU(), nn.Linear(200, 200), nn.LeakyReLU(), nn.Linear(200, 2))
    plain = copy.deepcopy(network)
    add_dropout(network, 0.25, at_sampling)
    assert network.state_dict().keys() == plain.state_dict().keys()
    kinds = [type(module) for module in network.modules() if not isinstance(module, nn.Sequential)]
    assert kinds == [nn.Linear, nn.ReLU, Dropout, nn.Linear, nn.LeakyReLU, Dropout, nn.Linear]
    x = torch.randn(n, 4)
    assert torch.equal(network.eval()(x), plain(x)) is not at_sampling
    assert not torch.equal(network.train()(x), plain(x))
    dropped = Dropout(0.25, at_sampling)(torch.ones(100_000))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.max()) == pytest.approx(1 / 0.75, rel=1e-6)


def test_generator_dropout_draws_anew_for_every_sample_that_has_noise() -> None:
    latent = torch.ones(2, 8)
    for at_sampling in (False, True):
        model = compose(DCGAN, GeneratorDropout)(**TINY, generator_dropout_at_sampling=at_sampling)
        first, second = model.sample(2, latent=latent)
        assert torch.allclose(first, second, atol=1e-6) is not at_sampling


def test_generator_dropout_refuses_a_generator_without_activations() -> None:
    class Linear(MLPGAN):
        def build_generator(self) -> nn.Module:
            return nn.Linear(2, 2)

    with pytest.raises(ValueError, match="has none: give it hidden layers, or leave it out"):
        compose(Linear, GeneratorDropout)(latent_dim=2)
