"""The turns of the game: who moves, what counts, what is drawn, what is felt."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor

from lit_gans import GAN, compose
from lit_gans.mixins import R1Penalty
from lit_gans.models import DCGAN
from tests.conftest import TINY, fit, images, trainer

Make = Callable[..., DCGAN]


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def moved(before: dict[str, Tensor], module: torch.nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if not torch.equal(before[name], parameter)}


class Watch(Callback):
    """Calls a function after every batch."""

    def __init__(self, see: Callable[[lightning.Trainer, Any], None]) -> None:
        self.see = see

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.see(trainer, pl_module)


# Turns


@pytest.mark.parametrize("n_critic", [1, 2, 3])
def test_a_turn_moves_its_own_player_only(tiny: Make, n_critic: int) -> None:
    model, seen = tiny(n_critic=n_critic), []
    real_turn = GAN.take_turn

    def watched(self: GAN, index: int, *args: Any, **kwargs: Any) -> Any:
        before = weights(self)
        terms = real_turn(self, index, *args, **kwargs)
        seen.append((self.game[index].name, moved(before, self)))
        return terms

    model.take_turn = watched.__get__(model)
    fit(model, images(48), max_epochs=1)
    names = [name for name, _ in seen]
    assert names == [*["discriminator"] * n_critic, "generator"] * (6 // n_critic)
    everything = {name: {n for n, _ in model.named_parameters() if n.startswith(name)} for name in set(names)}
    assert all(who == everything[name] for name, who in seen)


def test_an_opponent_has_no_gradients_and_can_learn_again_afterwards(tiny: Make) -> None:
    model = tiny()
    real_step, seen = GAN.step, []

    def watched(self: GAN, index: int, counts: bool) -> None:
        other = self.game[1 - index].networks[0]
        seen.append(all(not parameter.requires_grad for parameter in other.parameters()))
        real_step(self, index, counts)

    model.step = watched.__get__(model)
    fit(model, images(16), max_epochs=1)
    assert seen == [True] * 4
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_the_user_froze_stays_frozen(tiny: Make) -> None:
    model = tiny()
    frozen = model.generator.stages[0][0].weight.requires_grad_(False)
    before = frozen.clone()
    fit(model, images(16), max_epochs=1)
    assert torch.equal(frozen, before)
    assert not frozen.requires_grad


def test_the_players_share_the_last_fakes_of_a_round(tiny: Make) -> None:
    model, shown = tiny(n_critic=2), []
    model.replay = lambda fake: shown.append(("D", fake.detach().clone())) or fake
    real_loss = model.generator_loss
    model.generator_loss = lambda real, fake, c: shown.append(("G", fake.detach().clone())) or real_loss(real, fake, c)
    fit(model, images(16), max_epochs=1)
    assert [who for who, _ in shown] == ["D", "D", "G"]
    assert torch.equal(shown[1][1], shown[2][1])
    assert not torch.allclose(shown[0][1], shown[1][1])


def test_real_images_arrive_in_minus_one_to_one(tiny: Make) -> None:
    model = tiny()
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 16, 16)
    prepared = model.prepare({"image": pixels})["image"]
    torch.testing.assert_close(prepared[:, 0, 0, 0], torch.tensor([-1.0, 1.0, -0.6]), rtol=0, atol=1e-6)


# Counting


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_max_steps_counts_generator_updates(tiny: Make, n_critic: int, tmp_path: Any) -> None:
    model, steps = tiny(n_critic=n_critic), []
    checkpoint = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=2, save_top_k=-1)
    watch = Watch(lambda t, m: steps.append(t.global_step))
    runner = trainer(max_steps=7, callbacks=[watch, checkpoint], enable_checkpointing=True, default_root_dir=tmp_path)
    runner.fit(model, torch.utils.data.DataLoader(images(32), 8))
    assert runner.global_step == model.global_step == 7
    assert model.turns_taken == {"discriminator": 7 * n_critic, "generator": 7}
    assert model.images_seen == 7 * n_critic * 8
    assert steps == [(batch + 1) // n_critic for batch in range(7 * n_critic)]
    assert sorted(path.stem for path in tmp_path.glob("*.ckpt")) == ["step=2", "step=4", "step=6"]


@pytest.mark.parametrize("n_critic", [1, 3])
def test_schedules_count_generator_updates(tiny: Make, n_critic: int) -> None:
    model, rates = tiny(n_critic=n_critic, lr_schedule={"name": "step", "every": 2, "factor": 0.5}), []
    see = Watch(lambda t, m: rates.append((t.global_step, [o.param_groups[0]["lr"] for o in t.optimizers])))
    fit(model, images(64), max_steps=5, callbacks=[see])
    for step, pair in rates:
        assert pair == pytest.approx([2e-4 * 0.5 ** (step // 2)] * 2, rel=1e-12)


def test_logged_step_is_the_generator_update(tiny: Make, tmp_path: Any) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    model = tiny(n_critic=3)
    fit(model, images(64), max_steps=6, logger=logger, log_every_n_steps=2)
    rows = logger.experiment.metrics or []
    logger.save()
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    header = lines[0].split(",")
    steps = [int(line.split(",")[header.index("step")]) for line in lines[1:]]
    assert steps == [2, 4, 6], rows
    assert {"loss/generator", "loss/discriminator", "images_seen"} <= set(header)
    assert "penalty/discriminator" not in header
    seen = [int(float(line.split(",")[header.index("images_seen")])) for line in lines[1:]]
    assert seen == [2 * 3 * 8, 4 * 3 * 8, 6 * 3 * 8]


def test_logging_that_is_not_due_costs_no_synchronisation(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model, published = tiny(), []
    monkeypatch.setattr(GAN, "publish", lambda self, values: published.append(self.global_step))
    fit(model, images(64), max_steps=8, log_every_n_steps=4)
    assert published == [4, 8]


def test_published_values_reach_callbacks_that_monitor(tiny: Make) -> None:
    class Score(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            pl_module.publish({"fid/toy": 5.0})

    stop = EarlyStopping("fid/toy", patience=1, check_on_train_epoch_end=True, mode="min")
    runner = fit(tiny(), images(16), max_epochs=20, callbacks=[Score(), stop])
    assert runner.current_epoch < 19
    assert float(runner.callback_metrics["fid/toy"]) == 5.0


# Options


def test_ttur_gives_each_player_its_own_optimizer(tiny: Make) -> None:
    model = tiny(
        generator_optimizer={"name": "rmsprop", "lr": 1e-3}, discriminator_optimizer={"name": "adam", "lr": 4e-4}
    )
    runner = fit(model, images(8), max_epochs=1)
    discriminator, generator = runner.optimizers
    assert isinstance(discriminator, torch.optim.Adam)
    assert isinstance(generator, torch.optim.RMSprop)
    assert (discriminator.param_groups[0]["lr"], generator.param_groups[0]["lr"]) == (4e-4, 1e-3)


@pytest.mark.parametrize("accumulate", [2, 3])
@pytest.mark.parametrize("n_critic", [1, 2])
def test_accumulation_equals_the_whole_batch(accumulate: int, n_critic: int) -> None:
    def trained(parts: int) -> DCGAN:
        # 8 does not divide by 3: uneven parts must weigh by their size. Latents by content, not by the draw.
        cls = compose(DCGAN, R1Penalty)
        model = cls(**TINY, accumulate=parts, discriminator_norm="none", generator_norm="none", n_critic=n_critic)
        model = model.double()
        model.generate = lambda batch: model.generator(batch["image"].flatten(1)[:, : model.latent_dim])
        fit(model, images(32), max_epochs=1, precision="64-true")
        return model

    for a, b in zip(trained(1).parameters(), trained(accumulate).parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_clipping_bounds_the_unscaled_gradient(tiny: Make, precision: str) -> None:
    norms: list[float] = []

    clip = 1e-3
    model = tiny(gradient_clip=clip)
    real_hook = model.on_before_optimizer_step

    def watched(optimizer: torch.optim.Optimizer) -> None:
        real_hook(optimizer)
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(torch.cat(gradients).norm()))

    model.on_before_optimizer_step = watched
    plugins: dict[str, Any] = {"precision": precision}
    if precision == "16-mixed":  # a scaler on the CPU: gradients arrive 1024 times too large
        from lightning.pytorch.plugins import MixedPrecision

        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        plugins = {"plugins": [MixedPrecision("16-mixed", "cpu", scaler=scaler)]}
    fit(model, images(16), max_epochs=1, **plugins)
    assert len(norms) == 4
    assert norms == pytest.approx([clip] * 4, rel=1e-2)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_stays_near_full_precision(tiny: Make, precision: str) -> None:
    def trained(**options: Any) -> Tensor:
        model = tiny(
            discriminator_optimizer={"name": "sgd", "lr": 1e-2}, generator_optimizer={"name": "sgd", "lr": 1e-2}
        )
        start = torch.cat([p.detach().flatten() for p in model.parameters()])
        fit(model, images(32), max_epochs=1, **options)
        return torch.cat([p.detach().flatten() for p in model.parameters()]) - start

    options: dict[str, Any] = {"precision": precision}
    if precision == "16-mixed":
        from lightning.pytorch.plugins import MixedPrecision

        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        options = {"plugins": [MixedPrecision("16-mixed", "cpu", scaler=scaler)]}
    full, mixed = trained(), trained(**options)
    assert float((mixed - full).norm() / full.norm()) < 0.1
    assert float(full.norm()) > 1e-3


def test_losses_see_float32_logits_under_autocast(tiny: Make) -> None:
    model, types = tiny(), []
    real_loss = model.discriminate
    model.discriminate = lambda *args: types.append(real_loss(*args).dtype) or real_loss(*args)
    fit(model, images(8), max_epochs=1, precision="bf16-mixed")
    assert set(types) == {torch.float32}


def test_compiled_networks_train_as_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    real_compile = torch.nn.Module.compile
    compiled: list[str] = []

    def eager_backend(self: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        compiled.append(type(self).__name__)
        real_compile(self, backend="aot_eager")

    monkeypatch.setattr(torch.nn.Module, "compile", eager_backend)
    cls = compose(DCGAN, R1Penalty)
    models = [cls(**TINY, compile=flag, discriminator_norm="none") for flag in (False, True)]
    for model in models:  # in float64: Adam's first steps make much of the last bits of a gradient
        fit(model, images(16), max_epochs=1, precision="64-true")
    assert sorted(compiled) == ["DCGANDiscriminator", "DCGANGenerator"]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gradient_clip_val": 1.0}, r"model\.gradient_clip"),
        ({"accumulate_grad_batches": 2}, r"model\.accumulate"),
    ],
)
def test_what_lightning_refuses_is_answered_by_our_option(tiny: Make, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit(tiny(), images(8), max_epochs=1, **options)


def test_sharding_strategies_are_refused(tiny: Make) -> None:
    model, runner = tiny(), trainer()
    model.trainer = runner
    runner._accelerator_connector.strategy = FSDPStrategy()
    with pytest.raises(ValueError, match=r"FSDPStrategy .* trainer\.strategy=ddp"):
        model.configure_callbacks()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"latent_dim": 0}, "latent_dim must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0"),
        ({"image_size": 20}, "16, 32, 64, 128 pixels, not 20"),
        ({"discriminator_norm": "btach"}, "no normalization called 'btach'"),
    ],
)
def test_options_out_of_range_are_refused(tiny: Make, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tiny(**options)


def test_a_misspelt_option_is_named(tiny: Make) -> None:
    with pytest.raises(TypeError, match="latent_dimm"):
        tiny(latent_dimm=3)


def test_data_of_another_shape_is_refused_before_training(tiny: Make) -> None:
    class Data(lightning.LightningDataModule):
        shape = (3, 32, 32)

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(images(8))

    with pytest.raises(ValueError, match=r"\(3, 32, 32\), but DCGAN makes \(1, 16, 16\)"):
        trainer(max_steps=1).fit(tiny(), datamodule=Data())


# Randomness


def test_equal_seeds_are_equal_bit_for_bit(tiny: Make) -> None:
    def trained(seed: int, disturb: bool) -> list[Tensor]:
        torch.manual_seed(0 if disturb else 1)
        watch = Watch(lambda t, m: torch.rand(3) if disturb else None)
        model = tiny(seed=seed)
        fit(model, images(32), max_epochs=1, callbacks=[watch])
        return [parameter.detach() for parameter in model.parameters()]

    first, again, other = trained(3, False), trained(3, True), trained(4, False)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True) if a.dim() > 1)


def test_keys_differ_by_seed_player_turn_and_rank(tiny: Make) -> None:
    model = tiny()
    keys = {
        model.key(*parts) for parts in [("generator", 0, 0), ("generator", 1, 0), ("generator", 0, 1), ("shared", 0, 0)]
    }
    assert len(keys | {tiny(seed=1).key("generator", 0, 0)}) == 5
    assert all(0 <= key < 2**63 for key in keys)


def test_building_leaves_the_global_random_state_alone(tiny: Make) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    tiny()
    assert torch.equal(torch.rand(4), expected)


def test_a_trick_on_one_network_leaves_the_other_as_it_was(tiny: Make) -> None:
    plain, other = tiny(), tiny(discriminator_norm="none")
    assert all(
        torch.equal(a, b) for a, b in zip(plain.generator.parameters(), other.generator.parameters(), strict=True)
    )


# Sampling


@pytest.mark.parametrize("n", [1, 3, 300])
def test_samples_are_images_made_in_eval_mode(tiny: Make, n: int) -> None:
    model = tiny()
    model.generator.train()
    model.discriminator.eval()
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    latent = model.sample_latent(n)
    samples = model.sample(n, latent=latent)
    assert samples.shape == (n, 1, 16, 16)
    assert samples.abs().max() <= 1
    assert not samples.requires_grad
    assert model.generator.training
    assert not model.discriminator.training
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    torch.testing.assert_close(samples[:1], model.sample(1, latent=latent[:1]), rtol=1e-5, atol=1e-6)


def test_conditions_not_given_are_drawn_from_the_data(tiny: Make) -> None:
    model = tiny(num_classes=10)
    data = [item for item in images(64) if int(item["label"]) in (3, 7)]
    fit(model, data, 4, max_epochs=1)
    drawn = model.sample_condition(200)
    assert set(drawn.tolist()) == {3, 7}
    assert model.sample(5).shape == (5, 1, 16, 16)
    latent = model.sample_latent(2)
    three, seven = model.sample(2, latent=latent, label=3), model.sample(2, latent=latent, label=torch.tensor([7, 7]))
    assert not torch.allclose(three, seven)


def test_no_samples_is_an_error(tiny: Make) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        tiny().sample(0)


# Stand-ins, and players with more turns


def test_a_stand_in_plays_for_a_network_that_stays_as_it_is(tiny: Make) -> None:
    model, other = tiny(), tiny(seed=5)
    x = torch.randn(3, 1, 16, 16)
    state = {name: value.clone() for name, value in model.discriminator.state_dict().items()}
    theirs = {name: value.clone() for name, value in other.discriminator.state_dict().items()}
    with model.standing_in(discriminator=theirs):
        logits = model.discriminate(x)
    assert all(torch.equal(value, state[name]) for name, value in model.discriminator.state_dict().items())
    torch.testing.assert_close(logits, other.discriminate(x), rtol=0, atol=0)
    assert not torch.allclose(logits, model.discriminate(x))
    # Running statistics were those of the stand-in.
    name = next(name for name in theirs if name.endswith("running_mean"))
    assert torch.equal(theirs[name], other.discriminator.state_dict()[name])


def test_a_generator_with_more_turns_counts_every_update(tiny: Make) -> None:
    class Eager(DCGAN):
        def players(self) -> Any:
            discriminator, generator = super().players()
            return discriminator, replace(generator, turns=3)

    model, turns, published = Eager(**TINY), [], []
    real_turn = GAN.take_turn

    def watched(self: GAN, index: int, *args: Any, **kwargs: Any) -> Any:
        turns.append("DG"[index])
        return real_turn(self, index, *args, **kwargs)

    model.take_turn = watched.__get__(model)
    model.publish = lambda values: published.append((model.global_step, sorted(values)))
    runner = fit(model, images(64), max_steps=7, log_every_n_steps=2)
    assert "".join(turns) == "GGDGGGDGG"[: len(turns)]
    assert runner.global_step == model.turns_taken["generator"] == 7
    assert model.turns_taken["discriminator"] == 2
    names = ["images_seen", "loss/discriminator", "loss/generator"]
    assert published == [(2, ["images_seen", "loss/generator"]), (4, names), (6, names)]
