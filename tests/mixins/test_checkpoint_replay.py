"""Past selves as opponents: against a plain loop with copies of the networks, buffers included."""

import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import lit_gans
from lit_gans import GAN, compose
from lit_gans.mixins import CheckpointReplay, Unrolled
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g

Past = compose(DCGAN, CheckpointReplay)
OFTEN = {"past_every": 2, "past_size": 2, "past_probability": 0.6}


def plain_loop(model: Any, n_critic: int, every: int, size: int, probability: float) -> tuple[nn.Module, nn.Module]:
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizer_g, optimizer_d = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, discriminator)
    )
    reals = torch.stack([item["image"] for item in images(BATCH * BATCHES)]).double().split(BATCH)
    queue: list[tuple[nn.Module, nn.Module]] = []
    updates = 0
    for i, real in enumerate(reals):
        last = (i + 1) % n_critic == 0
        if last:
            torch.manual_seed(model.key("shared", i, 0))
            shared = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        torch.manual_seed(model.key("discriminator", i, 0))
        draw = Random(model.key("past", "discriminator", i))
        if queue and draw.random() < probability:
            past = copy.deepcopy(draw.choice(queue)[0])
            fake = past(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        else:
            fake = shared if last else generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        optimizer_d.zero_grad()
        ns_d(discriminator, real / 127.5 - 1, fake.detach()).backward()
        optimizer_d.step()
        if last:
            draw = Random(model.key("past", "generator", updates))
            met = queue and draw.random() < probability
            opponent = copy.deepcopy(draw.choice(queue)[1]) if met else discriminator
            optimizer_g.zero_grad()
            ns_g(opponent, shared).backward()
            optimizer_g.step()
            updates += 1
            if updates % every == 0:
                queue = [*queue, (copy.deepcopy(generator), copy.deepcopy(discriminator))][-size:]
    return generator, discriminator


@pytest.mark.parametrize("n_critic", [1, 2])
def test_equals_a_plain_loop_with_copies_of_the_networks(n_critic: int) -> None:
    every, size, probability = OFTEN.values()
    model = Past(**TINY, **OFTEN, n_critic=n_critic).double()
    twins = plain_loop(model, n_critic, every, size, probability)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        states = ours.state_dict(), theirs.state_dict()
        assert any("running_mean" in name for name in states[0])
        for name, value in states[0].items():
            torch.testing.assert_close(value, states[1][name], rtol=1e-7, atol=1e-10, msg=name)


def test_the_queue_holds_what_the_networks_were() -> None:
    states: dict[int, dict[str, Tensor]] = {}

    class Spy(DCGAN):
        def on_train_batch_end(self, *_: Any) -> None:
            states[self.global_step] = {name: value.clone() for name, value in self.state_dict().items()}

    model = compose(Spy, CheckpointReplay)(**TINY, past_every=2, past_size=2, past_probability=1.0)
    fit(model, images(56), max_epochs=1)
    assert model.global_step == 7
    for entry, step in zip(model.past_selves.queue, (4, 6), strict=True):
        assert entry.keys() == {"generator", "discriminator"}
        stored = {f"{network}.{name}": value for network, weights in entry.items() for name, value in weights.items()}
        assert stored.keys() == states[step].keys()
        assert all(torch.equal(value, states[step][name]) for name, value in stored.items())
        assert not any(value.requires_grad for value in stored.values())


class Played(MLPGAN):
    """Notes whose weights play in each turn: the present ones or, told apart by their values, past ones."""

    met: list[tuple[str, bool]]

    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        self.met.append(("discriminator", "generator" in self.stand_ins))
        assert "discriminator" not in self.stand_ins
        return super().discriminator_loss(real, fake, condition)

    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        self.met.append(("generator", "discriminator" in self.stand_ins))
        assert "generator" not in self.stand_ins
        return super().generator_loss(real, fake, condition)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_player_meets_the_past_with_its_probability_and_in_whole_turns(accumulate: int) -> None:
    small = {"latent_dim": 2, "sample_shape": [1, 16, 16], "generator_hidden": [4], "discriminator_hidden": [4]}
    model = compose(Played, CheckpointReplay)(
        **small, past_every=1, past_size=3, past_probability=0.3, accumulate=accumulate
    )
    model.met = []
    fit(model, images(8), 4, max_steps=200)
    for player in ("discriminator", "generator"):
        past = [met for name, met in model.met if name == player]
        assert len(past) == 200 * accumulate
        assert not any(past[:accumulate])  # nobody has a past yet
        turns = [past[i : i + accumulate] for i in range(0, len(past), accumulate)]
        assert all(len(set(turn)) == 1 for turn in turns)
        assert abs(sum(turn[0] for turn in turns) - 60) < 26  # standard deviation 6.5


def test_never_is_the_plain_game() -> None:
    models = [Past(**TINY, past_every=1, past_probability=0.0), DCGAN(**TINY)]
    for model in models:
        fit(model, images(24), max_epochs=1)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("option", ["past_every", "past_size"])
def test_options_that_are_felt_late(option: str) -> None:
    def trained(**options: int) -> Tensor:
        model = Past(**TINY, **{"past_every": 2, "past_size": 3, "past_probability": 0.9, **options})
        fit(model, images(80), max_epochs=1)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert not torch.equal(trained(), trained(**{option: 1}))


class WithSpectralNorm(DCGAN):
    """A DCGAN whose discriminator has parametrized weights, and buffers that every forward moves."""

    def build_discriminator(self) -> nn.Module:
        discriminator = super().build_discriminator()
        spectral_norm(discriminator.output)
        return discriminator


def test_parametrized_weights_stand_in_and_leave_no_trace() -> None:
    model = compose(WithSpectralNorm, CheckpointReplay)(**TINY, past_every=1, past_size=1, past_probability=1.0)
    fit(model, images(16), max_epochs=1)
    stored = model.past_selves.queue[0]["discriminator"]
    assert {"output.parametrizations.weight.original", "output.parametrizations.weight.0._u"} <= stored.keys()
    before = {name: value.clone() for name, value in stored.items()}
    own = {name: value.clone() for name, value in model.discriminator.state_dict().items()}
    with model.standing_in(**model.past_selves.met("discriminator", Random(0), model.device)):
        model.discriminate(torch.randn(4, 1, 16, 16))
    assert all(torch.equal(value, before[name]) for name, value in stored.items())
    assert all(torch.equal(value, own[name]) for name, value in model.discriminator.state_dict().items())


def test_conditional_models_and_compiled_networks_meet_their_past(monkeypatch: pytest.MonkeyPatch) -> None:
    real_compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, *_: real_compile(self, backend="eager"))
    options = {**TINY, "num_classes": 10, "past_every": 1, "past_probability": 0.9, "discriminator_norm": "none"}
    models = [Past(**options, compile=flag) for flag in (False, True)]
    for model in models:  # in float64: Adam's first steps make much of the last bits of a gradient
        fit(model, images(24), max_epochs=1, precision="64-true")
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_a_checkpoint_holds_the_queue(tmp_path: Path) -> None:
    model = Past(**TINY, past_every=1, past_size=2)
    runner = fit(model, images(24), max_epochs=1)
    runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    loaded = lit_gans.load(tmp_path / "a.ckpt")
    assert len(loaded.past_selves.queue) == 2
    for ours, theirs in zip(loaded.past_selves.queue, model.past_selves.queue, strict=True):
        for network, weights in ours.items():
            assert all(torch.equal(value, theirs[network][name]) for name, value in weights.items())


@pytest.mark.parametrize(
    "cls", [compose(MLPGAN, CheckpointReplay, Unrolled), compose(MLPGAN, Unrolled, CheckpointReplay)]
)
def test_one_opponent_at_a_time(cls: type[GAN]) -> None:
    with pytest.raises(ValueError, match=r"looks ahead .* name one of the two, or set tricks\.checkpoint_replay=null"):
        cls()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"past_every": 0}, "past_every must be at least 1"),
        ({"past_size": 0}, "past_size must be at least 1"),
        ({"past_probability": 2.0}, "past_probability must be in"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose(MLPGAN, CheckpointReplay)(**options)
