"""The watch over a game: that it is not felt, that its numbers are right, when it speaks and when it ends a run."""

import math
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader, IterableDataset

from lit_gans import GAN, compose
from lit_gans.callbacks.collapse import OVERWHELMING, Alarm, CollapseWatch, games_of
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.look import real_samples
from lit_gans.game import Batch
from lit_gans.mixins import OneSidedLabelSmoothing, R1Penalty
from lit_gans.models import DCGAN, LAPGAN, MLPGAN, WGANGP, StackGAN
from tests.conftest import TINY, images, trainer
from tests.mixins.test_tricks import SMALL

BATCH = 8
POINTS = [{"image": torch.tensor([math.cos(i), math.sin(i)])} for i in range(32)]


def run(model: GAN, *callbacks: Callback, data: Any = None, ckpt_path: Any = None, **options: Any) -> Any:
    runner = trainer(callbacks=list(callbacks), **options)
    runner.fit(model, DataLoader(images(48) if data is None else data, BATCH), ckpt_path=ckpt_path)
    return runner


def small(**options: Any) -> MLPGAN:
    return MLPGAN(**{"latent_dim": 4, "generator_hidden": [8], "discriminator_hidden": [8], **options})


class Published(Callback):
    """Keeps what was published of the watch, by update."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        row = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("watch/")}
        if row:
            self.rows.setdefault(trainer.global_step, row)


# It is not felt


class Delicate(DCGAN):
    """Has all that a look could move: batch norm, spectral norm, dropout, noise on what the discriminator sees."""

    def build_discriminator(self) -> nn.Module:
        network = super().build_discriminator()
        network.stages[0].append(nn.Dropout(0.3))
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)
        return network

    def discriminator_input(self, x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x)


def everything(model: GAN, runner: Any) -> dict[str, Any]:
    """All that training goes by."""
    saved: dict[str, Any] = {}
    model.on_save_checkpoint(saved)
    return {
        "checkpoint": saved,
        "weights": model.state_dict(),
        "gradients": {name: parameter.grad for name, parameter in model.named_parameters()},
        "optimizers": [optimizer.state_dict()["state"] for optimizer in runner.optimizers],
        "random": torch.get_rng_state(),
        "modes": [module.training for module in model.modules()],
        "conditions": model.remembered_conditions,
        "frozen": [parameter.requires_grad for parameter in model.parameters()],
        "counts": [dict(model.turns_taken), model.batches_seen, model.images_seen, runner.global_step],
    }


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Delicate(**TINY),
        lambda: Delicate(**TINY, num_classes=10, n_critic=2),
        lambda: DCGAN(**TINY, accumulate=2, gradient_clip=0.5),
        lambda: WGANGP(**TINY, n_critic=2),
    ],
)
def test_a_run_that_is_watched_is_the_run_that_is_not(make: Callable[[], GAN]) -> None:
    found = []
    for callbacks in ([EMA()], [EMA(), CollapseWatch(every=1, n=20)]):
        model, published = make(), Published()
        found.append(everything(model, run(model, *callbacks, published, max_epochs=1)))
    assert equal(*found)
    assert len(published.rows) == len(images(48)) // BATCH // model.n_critic
    assert all(gradient is not None for gradient in found[0]["gradients"].values())


# Its numbers


class ByHand(Callback):
    """What the watch should find, the slow way, after its look."""

    def __init__(self, watch: CollapseWatch, every: int) -> None:
        self.watch, self.every = watch, every
        self.expected: dict[int, dict[str, float]] = {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        step = trainer.global_step
        if step % self.every or step in self.expected or not step:
            return
        model, real = deepcopy(pl_module), self.watch.real
        latent, condition = self.watch.latent[: len(real["image"])], model.condition(real)
        fake = model.eval()(latent, condition).detach()
        model.train()
        size = len(batch["image"]) // model.accumulate
        logits = []
        for x in (real["image"], fake):
            parts = [slice(i * size, (i + 1) * size) for i in range(len(x) // size)]
            with torch.no_grad():
                logits.append(
                    torch.cat([model.discriminate(x[p], None if condition is None else condition[p]) for p in parts])
                )
        (told_real, told_fake), (spread_fake, spread_real) = (
            logits,
            (float(torch.pdist(x.flatten(1)).mean()) for x in (fake, real["image"])),
        )
        self.expected[step] = {
            "watch/diversity": spread_fake / spread_real,
            "watch/accuracy_real": sum(float(logit) > 0 for logit in told_real) / len(told_real),
            "watch/accuracy_fake": sum(float(logit) < 0 for logit in told_fake) / len(told_fake),
            "watch/rt": sum(math.copysign(1, float(logit)) for logit in told_real) / len(told_real),
            "watch/margin": float(told_real.mean() - told_fake.mean()),
            **{
                f"watch/gradient_norm_{name}": math.sqrt(
                    sum(float(p.grad.square().sum()) for p in network.parameters())
                )
                for name, network in (("generator", pl_module.generator), ("discriminator", pl_module.discriminator))
            },
        }


@pytest.mark.parametrize("options", [{}, {"n_critic": 2}, {"num_classes": 10}, {"accumulate": 2}, {"accumulate": 16}])
def test_numbers_by_hand(options: dict[str, Any]) -> None:
    watch, published = CollapseWatch(every=2, n=20), Published()
    by_hand = ByHand(watch, 2)
    batch_norm = {"discriminator_norm": "batch", "generator_norm": "batch"}
    if options.get("accumulate") == 16:
        options, batch_norm = {"accumulate": 8}, {"discriminator_norm": "none"}
    model = DCGAN(**{**TINY, **batch_norm}, **options)
    run(model, watch, by_hand, published, max_epochs=1)
    assert sorted(by_hand.expected) == [2, 4, 6][: 6 // 2 // model.n_critic]
    for step, expected in by_hand.expected.items():
        found = published.rows[step]
        assert found.keys() == expected.keys() | {"watch/spread"}
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-7), name


def test_a_generator_as_diverse_as_the_data_has_ratio_1() -> None:
    class Perfect(MLPGAN):
        def sample(self, n: int, **_: Any) -> Tensor:
            return torch.stack([point["image"] for point in POINTS])[:n] * 3 + 1

    published = Published()
    run(
        Perfect(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8]),
        CollapseWatch(every=1, n=32),
        published,
        data=POINTS,
        max_steps=1,
    )
    assert published.rows[1]["watch/diversity"] == pytest.approx(3, rel=1e-5)
    assert published.rows[1]["watch/spread"] == pytest.approx(1, rel=1e-5)


def test_gradients_are_measured_before_they_are_clipped() -> None:
    class Before(Callback):
        def __init__(self) -> None:
            self.norms: list[float] = []

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            self.norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in parameters)))

    before, published = Before(), Published()
    run(small(gradient_clip=1e-3), CollapseWatch(every=1, n=8), before, published, data=POINTS, max_steps=3)
    found = [
        [row[f"watch/gradient_norm_{player}"] for player in ("discriminator", "generator")]
        for row in published.rows.values()
    ]
    assert [norm for row in found for norm in row] == pytest.approx(before.norms, rel=1e-5)
    assert min(before.norms) > 1e-2


def test_a_discriminator_of_several_logits_is_not_asked() -> None:
    class Patches(MLPGAN):
        def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
            return super().discriminate(x, condition)[:, None].expand(-1, 3)

    published = Published()
    model = Patches(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8])
    run(model, CollapseWatch(every=1, n=8), published, data=POINTS, max_steps=1)
    gradients = {f"watch/gradient_norm_{player}" for player in ("generator", "discriminator")}
    assert published.rows[1].keys() == {"watch/diversity", "watch/spread", *gradients}


def test_of_several_stages_the_one_that_learns_is_asked() -> None:
    class Asked(CollapseWatch):
        def _judge(self, trainer: Any, model: Any, numbers: dict[str, float]) -> None:
            asked.append(games_of(numbers))

    asked: list[list[str]] = []
    sizes = {"image_size": 16, "image_channels": 1, "generator_width": 2, "discriminator_width": 2}
    model = StackGAN(**sizes, residual_blocks=1, stage_steps=[2, 2])
    run(model, Asked(every=1, n=4), max_steps=4)
    assert asked == [["stage1"], ["stage2"], ["stage2"], ["stage2"]]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(POINTS)


def test_without_a_data_set_gradients_alone(caplog: pytest.LogCaptureFixture) -> None:
    published = Published()
    with caplog.at_level("INFO"):
        run(small(), CollapseWatch(every=1), published, data=Stream(), max_steps=3)
    assert caplog.text.count("CollapseWatch knows no real samples") == 1
    gradients = {f"watch/gradient_norm_{player}" for player in ("generator", "discriminator")}
    assert [row.keys() for row in published.rows.values()] == [gradients] * 3


class Data(lightning.LightningDataModule):
    """A data module whose loader hands out something else than its data set has."""

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.train_dataset = dataset

    def train_dataloader(self) -> Any:
        return DataLoader([{**item, "image": -item["image"]} for item in self.train_dataset], BATCH)


class Whole(list[Any]):
    """Hands out whole batches, and draws from the global random state for each."""

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        torch.rand(3)
        return {name: torch.stack([self[i][name] for i in indices]) for name in self[0]}


@pytest.mark.parametrize("kind", [list, Whole])
def test_the_real_samples_are_the_data_modules_own(kind: type) -> None:
    watch = CollapseWatch(every=1, n=100)
    model, runner = small(), trainer(max_steps=1, callbacks=[watch])
    runner.fit(model, datamodule=Data(kind(POINTS)))
    known = {tuple(point["image"].tolist()) for point in POINTS}
    assert {tuple(point) for point in watch.real["image"].tolist()} == known
    few = real_samples(runner, model, 5, "a name")
    assert len(few["image"]) == 5
    state = torch.get_rng_state()
    assert torch.equal(few["image"], real_samples(runner, model, 5, "a name")["image"])
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(few["image"], real_samples(runner, model, 5, "another")["image"])


# When it speaks


@pytest.mark.parametrize(
    ("patience", "looks", "begins"),
    [
        (1, "bgbb", "1010"),
        (2, "bbbbb", "01000"),
        (2, "bgbbgbggbb", "0001000001"),
        (3, "bbgbbbgbggbbbgggbbb", "0000010000000000001"),
    ],
)
def test_an_alarm_goes_off_once_until_it_is_over(patience: int, looks: str, begins: str) -> None:
    alarm = Alarm(patience)
    assert "".join(str(int(alarm.begins(look == "b"))) for look in looks) == begins


class Staged(MLPGAN):
    """Samples as diverse, and a discriminator as sure, as a plan says at each update."""

    diversity: Callable[[int], float] = staticmethod(lambda step: 1.0)
    sureness: Callable[[int], float] = staticmethod(lambda step: 0.0)

    def sample(self, n: int, **_: Any) -> Tensor:
        return torch.stack([point["image"] for point in POINTS])[:n] * self.diversity(self.global_step) + 10

    def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        logits = super().discriminate(x, condition)
        if not torch.is_grad_enabled():  # when it is looked at
            logits = torch.where(x[:, 0] < 5, 0.5, -0.5) * self.sureness(self.global_step)
        return logits


def staged(*tricks: type[GAN], **plan: Callable[[int], float]) -> GAN:
    model = compose(Staged, *tricks)(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8])
    for name, value in plan.items():
        setattr(model, name, value)
    return model


def said(model: GAN, watch: CollapseWatch, **options: Any) -> tuple[list[str], Any]:
    """The sentences of a run, and its trainer."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runner = run(model, watch, **{"data": POINTS, **options})
    return [str(one.message) for one in caught if "likely remedies" in str(one.message)], runner


def test_a_collapse_is_said_once_and_again_when_it_comes_again() -> None:
    plan = {range(3, 9): 0.05, range(14, 20): 0.1}  # 9 and 10 are good: too few
    model = staged(diversity=lambda step: next((value for steps, value in plan.items() if step in steps), 1.0))
    sentences, runner = said(model, CollapseWatch(every=1, n=32, patience=3, diversity=0.2), max_steps=20)
    assert runner.global_step == 20
    assert [sentence.partition(";")[0] for sentence in sentences] == [
        f"The generator has collapsed: for 3 looks in a row, up to update {step}, its samples were less than 0.2 times "
        f"as far apart as real ones ({now} times now)"
        for step, now in ((5, 0.05), (16, 0.1))
    ]
    assert sentences[0].count(".") == sentences[0].count("0.") + 1  # one sentence


def test_a_diverse_generator_is_left_in_peace() -> None:
    sentences, _ = said(staged(), CollapseWatch(every=1, n=32, patience=1), max_steps=5)
    assert sentences == []


@pytest.mark.parametrize(("patience", "every", "end"), [(1, 1, 1), (3, 2, 6)])
def test_a_collapse_ends_the_run_if_asked_to(patience: int, every: int, end: int) -> None:
    watch = CollapseWatch(every=every, n=32, patience=patience, on_collapse="stop")
    (sentence,), runner = said(staged(diversity=lambda step: 0.01), watch, max_steps=20)
    assert runner.global_step == end
    assert "(0.01 times now), so the run ends; likely remedies: " in sentence
    assert not watch.broken


@pytest.mark.parametrize(("margin", "labels", "wins"), [(1.1, True, True), (0.9, True, False), (9.0, False, False)])
def test_overwhelming_odds_win(margin: float, labels: bool, wins: bool) -> None:
    model = staged(sureness=lambda step: margin * OVERWHELMING)
    model.has_labels = labels
    sentences, _ = said(model, CollapseWatch(every=1, n=32, patience=2), max_steps=5)
    assert len(sentences) == wins
    if wins:
        assert sentences[0].startswith(
            "The discriminator has won: for 2 looks in a row, up to update 2, it was right about 99% or more of real "
            "samples and of fakes, and left the generator nothing to learn from; likely remedies: "
        )


@pytest.mark.parametrize(("left", "wins"), [(0.9e-3, True), (1.1e-3, False)])
def test_a_vanished_gradient_is_a_defeat_by_a_sure_discriminator(left: float, wins: bool) -> None:
    class Told(CollapseWatch):
        accuracy = 1.0

        def _look(self, trainer: Any, model: Any, seen: int) -> dict[str, float]:
            gradient = 5.0 if trainer.global_step == 1 else 5.0 * left
            told = {"accuracy_real": self.accuracy, "accuracy_fake": 1.0, "margin": 0.1}
            return {**super()._look(trainer, model, seen), **told, "gradient_norm_generator": gradient}

    class Unsure(Told):
        accuracy = 0.98

    sentences, _ = said(staged(), Told(every=1, n=32, patience=2), max_steps=5)
    assert len(sentences) == wins
    assert said(staged(), Unsure(every=1, n=32, patience=2), max_steps=5)[0] == []


@pytest.mark.parametrize("who", [["level1"], ["level0", "level1"]])
def test_a_victory_in_some_of_several_games_names_them(who: list[str]) -> None:
    class Told(CollapseWatch):
        def _look(self, trainer: Any, model: Any, seen: int) -> dict[str, float]:
            right = {name: 1.0 if name in who else 0.7 for name in model.names}
            return {
                f"{name}/{number}": value
                for name in model.names
                for number, value in {"accuracy_real": right[name], "accuracy_fake": 1.0, "margin": 11.0}.items()
            }

    sentences, _ = said(LAPGAN(**SMALL["lapgan"]), Told(every=1, n=8, patience=2), data=images(32), max_steps=4)
    assert len(sentences) == 1
    assert sentences[0].startswith(f"The discriminator has won in {' and '.join(who)}: for 2 looks in a row")


def test_remedies_are_tricks_that_the_model_does_without() -> None:
    def remedies(*tricks: type[GAN]) -> str:
        model = staged(*tricks, sureness=lambda step: 100.0)
        (sentence,), _ = said(model, CollapseWatch(every=1, n=32, patience=1), max_steps=1)
        return sentence.partition("likely remedies: ")[2]

    assert remedies().startswith("tricks=[r1], ")
    assert remedies().endswith(" or a smaller learning rate of the discriminator.")
    assert "tricks=[r1]" not in remedies(R1Penalty)
    assert "label_smoothing" not in remedies(R1Penalty, OneSidedLabelSmoothing)


# When it ends a run


class Poisoned(MLPGAN):
    """A loss of one player becomes something else from an update on."""

    def __init__(
        self, *, player: str = "generator", at: int = 3, factor: float = 1.0, term: float = 0.0, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.player, self.at, self.factor, self.term = player, at, factor, term

    def poisoned(self, player: str, loss: Tensor) -> Tensor:
        bad = player == self.player and self.trainer.global_step + 1 >= self.at
        return loss * self.factor + self.term if bad else loss

    def discriminator_loss(self, *given: Any) -> Tensor:
        return self.poisoned("discriminator", super().discriminator_loss(*given))

    def generator_loss(self, *given: Any) -> Tensor:
        return self.poisoned("generator", super().generator_loss(*given))


def poisoned(**options: Any) -> Poisoned:
    return Poisoned(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8], **options)


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"factor": math.nan}, "the weights of the generator"),
        ({"factor": math.nan, "player": "discriminator"}, "the weights of the discriminator and generator"),
        ({"term": math.nan}, "loss/generator"),
        ({"term": math.inf, "player": "discriminator"}, "loss/discriminator"),
    ],
)
def test_nan_ends_a_run_at_the_next_look(options: dict[str, Any], what: str, every: int) -> None:
    watch, published = CollapseWatch(every=every, n=8), Published()
    (sentence,), runner = said(poisoned(**options), watch, max_steps=20)
    end = -(-3 // every) * every
    assert runner.global_step == end
    assert watch.broken
    assert sentence.startswith(f"Training has broken down: at update {end} there is NaN or infinity in ")
    assert f" in {what}, so the run ends; likely remedies: " in sentence or every > 1
    assert published.rows == {}


def test_nan_after_the_last_look_is_said_at_the_end() -> None:
    watch = CollapseWatch(every=100, n=8)
    (sentence,), runner = said(poisoned(factor=math.nan), watch, max_steps=5)
    assert (runner.global_step, watch.broken) == (5, True)
    assert sentence.startswith("Training has broken down: at update 5 ")


@pytest.mark.parametrize("buffer", [True, False])
def test_a_statistic_that_is_no_number_ends_a_run(buffer: bool) -> None:
    class Spoil(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if trainer.global_step == 2:
                norm = next(m for m in pl_module.generator.modules() if isinstance(m, nn.BatchNorm2d))
                (norm.running_var if buffer else norm.bias.data)[0] = math.inf

    watch = CollapseWatch(every=1, n=8)
    with pytest.warns(UserWarning, match="at update 3 there is NaN or infinity in the weights of the"):
        runner = run(DCGAN(**TINY), Spoil(), watch, max_steps=5)
    assert runner.global_step == 3


def test_under_16_mixed_a_loss_alone_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning.Trainer, "precision", "16-mixed")
    sentences, runner = said(poisoned(term=math.inf), CollapseWatch(every=1, n=8), max_steps=5)
    assert (sentences, runner.global_step) == ([], 5)
    sentences, runner = said(poisoned(factor=math.nan), CollapseWatch(every=1, n=8), max_steps=5)
    assert (len(sentences), runner.global_step) == (1, 3)


# Going on


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_resumed_run_sees_and_says_what_the_other_would_have(n_critic: int, tmp_path: Path) -> None:
    def watched(steps: int, ckpt_path: Path | None = None, seed: int = 0) -> Any:
        cls = compose(Staged)
        model = cls(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8], n_critic=n_critic)
        model.seed = seed
        model.diversity = lambda step: 0.1
        watch, published = CollapseWatch(every=1, n=32, patience=4), Published()
        return published, watch, *said2(model, watch, published, max_steps=steps, ckpt_path=ckpt_path)

    def said2(model: GAN, *callbacks: Callback, **options: Any) -> tuple[list[str], Any]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            runner = run(model, *callbacks, data=POINTS[:BATCH] * 20, **options)
        return [str(one.message) for one in caught if "likely remedies" in str(one.message)], runner

    straight, whole, sentences, _ = watched(6)
    assert len(sentences) == 1
    *_, none, runner = watched(3)
    assert none == []
    runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    state = torch.load(tmp_path / "a.ckpt", weights_only=True)["callbacks"]["CollapseWatch"]
    assert state["looked_at"] == 3
    assert state["alarms"] == [[False, 3], [False, 0]]
    resumed, watch, again, _ = watched(6, tmp_path / "a.ckpt")
    assert again == sentences
    assert resumed.rows == {step: row for step, row in straight.rows.items() if step > 3}
    assert whole.largest_gradients == watch.largest_gradients
    assert torch.equal(watch.latent, state["latent"])


def test_with_another_seed_the_latent_is_the_checkpoints(tmp_path: Path) -> None:
    first, other = CollapseWatch(every=1, n=8), CollapseWatch(every=1, n=20)
    runner = run(small(), first, data=POINTS, max_steps=1)
    runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    run(small(seed=5), other, data=POINTS, max_steps=2, ckpt_path=tmp_path / "a.ckpt")
    assert torch.equal(first.latent, other.latent)
    assert other.looked_at == 2


def test_a_second_fit_begins_anew() -> None:
    watch = CollapseWatch(every=1, n=32, patience=2)
    for _ in range(2):
        (sentence,), _ = said(staged(diversity=lambda step: 0.1), watch, max_steps=3)
        assert "up to update 2," in sentence
    run(small(latent_dim=7), watch, data=POINTS, max_steps=1)
    assert watch.latent.shape == (32, 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"n": 1}, "n must be at least 2, got 1"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"diversity": 0.0}, "diversity must be above 0 and below 1, got 0.0"),
        ({"diversity": 1.0}, "diversity must be above 0 and below 1, got 1.0"),
        ({"on_collapse": "pause"}, "on_collapse must be 'warn' or 'stop', got 'pause'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CollapseWatch(**options)
