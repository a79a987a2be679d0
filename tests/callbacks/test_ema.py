"""The average of the generator: its formula, its place in the checkpoint, and that the model keeps its own weights."""

import logging
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.testing import assert_close

import lit_gans
from lit_gans import GAN
from lit_gans.callbacks.ema import EMA, averaged, find_ema
from lit_gans.models import DCGAN
from tests.conftest import TINY, fit, images, trainer

Make = Callable[..., DCGAN]
BATCH = 8
SAME = images(BATCH) * 12  # every batch is the same, so a resumed run sees what the other saw


class See(Callback):
    """Calls a function after every batch, behind the callbacks before it."""

    def __init__(self, see: Callable[[Any, Any], None]) -> None:
        self.see = see

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.see(trainer, pl_module)


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize("n_critic", [1, 2, 3])
@pytest.mark.parametrize(("half_life", "ramp_up"), [(50.0, None), (20.0, 0.5), (1000.0, 0.2)])
def test_the_average_follows_the_formula(tiny: Make, n_critic: int, half_life: float, ramp_up: float | None) -> None:
    model, ema = tiny(n_critic=n_critic), EMA(half_life, ramp_up)
    average = {name: p.detach().double().clone() for name, p in model.generator.named_parameters()}
    seen = []

    def follow(trainer: Any, model: GAN) -> None:
        if model.batches_seen % n_critic:
            return
        images_seen = BATCH * model.batches_seen
        life = half_life if ramp_up is None else min(half_life, ramp_up * images_seen)
        beta = 2 ** (-BATCH * n_critic / life)
        for name, parameter in model.generator.named_parameters():
            average[name] = beta * average[name] + (1 - beta) * parameter.detach().double()
        seen.append(beta)
        for name, parameter in ema.averages["generator"].named_parameters():
            assert_close(parameter.double(), average[name], rtol=1e-5, atol=1e-6)
            assert not torch.equal(parameter, model.generator.get_parameter(name))

    fit(model, images(BATCH * 12), max_epochs=1, callbacks=[ema, See(follow)])
    assert len(seen) == 12 // n_critic
    assert seen[0] == seen[-1] if ramp_up is None else seen[0] < seen[-1]


def test_buffers_are_copied_also_where_a_layer_replaces_them(tiny: Make) -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.calls = self.calls + 1
            return x

    model, ema = tiny(), EMA(1e6, None)
    model.generator.counts = Counts()
    model.generator.register_forward_pre_hook(lambda module, args: (module.counts(args[0]), *args[1:]))
    fit(model, images(48), max_epochs=1, callbacks=[ema])
    ours, raw = dict(ema.averages["generator"].named_buffers()), dict(model.generator.named_buffers())
    assert_equal(ours, raw)
    assert float(raw["counts.calls"]) == 6
    assert any("running_var" in name for name in raw)
    assert not {id(value) for value in ours.values()} & {id(value) for value in raw.values()}


def test_training_is_the_same_with_and_without_and_the_model_keeps_its_weights(tiny: Make) -> None:
    alone, watched, ema = tiny(), tiny(), EMA(100)
    fit(alone, images(48), max_epochs=1)
    fit(watched, images(48), max_epochs=1, callbacks=[ema])
    assert_equal(alone.state_dict(), watched.state_dict())
    assert list(ema.averages) == ["generator"]
    storages = {p.data_ptr() for p in watched.parameters()}
    assert not storages & {p.data_ptr() for p in ema.averages["generator"].parameters()}


def test_swapped_samples_from_the_average_and_puts_everything_back(tiny: Make) -> None:
    model, ema = tiny(), EMA(100)
    runner = fit(model, images(48), max_epochs=1, callbacks=[ema])
    assert find_ema(runner) is ema
    raw, latent = model.generator, torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    before, by_hand = model.sample(4, latent=latent), deepcopy(model)
    by_hand.generator.load_state_dict(ema.averages["generator"].state_dict())
    with averaged(runner, model):
        assert model.generator is ema.averages["generator"]
        assert not torch.allclose(model.sample(4, latent=latent), before)
        assert torch.equal(model.sample(4, latent=latent), by_hand.sample(4, latent=latent))
        with averaged(runner, model):
            pass
        assert model.generator is ema.averages["generator"]
    assert model.generator is raw
    assert torch.equal(model.sample(4, latent=latent), before)
    assert list(model._modules) == ["generator", "discriminator"]
    with pytest.raises(KeyboardInterrupt), ema.swapped(model):
        raise KeyboardInterrupt
    assert model.generator is raw


def test_without_the_callback_or_a_fit_nothing_is_swapped(tiny: Make) -> None:
    model = tiny()
    raw = model.generator
    with averaged(trainer(), model):
        assert model.generator is raw
    with EMA().swapped(model):
        assert model.generator is raw


def test_a_model_says_which_networks_are_averaged(tiny: Make) -> None:
    class Two(DCGAN):
        averaged_networks = ("generators.0", "generators.1")

        def build(self) -> None:
            super().build()
            self.generators = nn.ModuleList([self.generator, deepcopy(self.generator)])

    model, ema = Two(**TINY), EMA(10)
    fit(model, images(32), max_epochs=1, callbacks=[ema])
    raw = list(model.generators)
    with ema.swapped(model):
        assert [id(network) for network in model.generators] == [id(ema.averages[f"generators.{i}"]) for i in (0, 1)]
    assert list(model.generators) == raw


class SaveAt(Callback):
    """Writes a checkpoint after one batch."""

    def __init__(self, batch: int, path: Path) -> None:
        self.batch, self.path = batch, path

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == self.batch:
            trainer.save_checkpoint(self.path, weights_only=False)


@pytest.mark.parametrize(("n_critic", "stop"), [(1, 5), (3, 3), (3, 5)])
def test_a_resumed_average_is_the_same_bit_for_bit(tiny: Make, tmp_path: Path, n_critic: int, stop: int) -> None:
    path, straight, resumed = tmp_path / "a.ckpt", EMA(200, 0.3), EMA(200, 0.3)
    model = tiny(n_critic=n_critic)
    fit(model, SAME, max_steps=12 // n_critic, callbacks=[straight, SaveAt(stop, path)])
    again = tiny(n_critic=n_critic)
    runner = trainer(max_steps=12 // n_critic, callbacks=[resumed])
    runner.fit(again, torch.utils.data.DataLoader(SAME, BATCH), ckpt_path=path)
    assert_equal(model.state_dict(), again.state_dict())
    assert_equal(straight.averages["generator"].state_dict(), resumed.averages["generator"].state_dict())
    assert straight.images_seen == resumed.images_seen == 96


def test_the_checkpoint_holds_both_and_load_takes_the_average(tiny: Make, tmp_path: Path) -> None:
    model, ema, path = tiny(), EMA(200), tmp_path / "a.ckpt"
    fit(model, SAME, max_epochs=1, callbacks=[ema, SaveAt(12, path)])
    checkpoint = torch.load(path, weights_only=True)
    assert list(checkpoint["ema"]) == ["generator"]
    assert_equal(checkpoint["ema"]["generator"], ema.averages["generator"].state_dict())
    assert_equal(checkpoint["state_dict"], model.state_dict())
    assert_equal(lit_gans.load(path).generator.state_dict(), ema.averages["generator"].state_dict())
    assert_equal(lit_gans.load(path, ema=False).generator.state_dict(), model.generator.state_dict())


def test_a_checkpoint_without_an_average_starts_one_from_its_weights(
    tiny: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.ckpt"
    model, first = tiny(), []
    fit(model, SAME, max_epochs=1, callbacks=[SaveAt(6, path)])
    ema = EMA(BATCH, None)  # one batch later, the average is half way
    again = tiny()
    runner = trainer(max_steps=7, callbacks=[ema, See(lambda *_: first.append(snapshot(ema.averages["generator"])))])
    with caplog.at_level(logging.INFO):
        runner.fit(again, torch.utils.data.DataLoader(SAME, BATCH), ckpt_path=path)
    assert [r.message for r in caplog.records if "averaged weights" in r.message] == [
        "The checkpoint has no averaged weights: the average starts from the weights it has."
    ]
    loaded = torch.load(path, weights_only=True)["state_dict"]
    for name, parameter in ema.averages["generator"].named_parameters():
        half_way = (loaded[f"generator.{name}"] + again.generator.get_parameter(name).detach()) / 2
        assert_close(first[0][name], half_way, rtol=1e-5, atol=1e-6)
        assert parameter.requires_grad is False


def test_averages_of_other_networks_are_refused(tiny: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    fit(tiny(), SAME, max_epochs=1, callbacks=[EMA(), SaveAt(6, path)])
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["ema"] = {"encoder": checkpoint["ema"]["generator"]}
    torch.save(checkpoint, path)
    runner = trainer(max_steps=7, callbacks=[EMA()])
    with pytest.raises(ValueError, match=r"has averages of encoder, the model has generator"):
        runner.fit(tiny(), torch.utils.data.DataLoader(SAME, BATCH), ckpt_path=path)


@pytest.mark.parametrize("options", [{"half_life": 0}, {"half_life": -1.0}, {"ramp_up": 0}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=rf"{name} must be above 0, got"):
        EMA(**options)
