"""Two stages from text to image: each round against a plain loop of the paper, who sees what, and when."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, softplus

from lit_gans import compose, load
from lit_gans.callbacks.ema import EMA
from lit_gans.checkpoint import start_from
from lit_gans.data import Digits
from lit_gans.mixins import JointBatch, R1Penalty
from lit_gans.models import StackGAN
from lit_gans.networks.stackgan import join
from lit_gans.wrong_texts import partners
from tests.conftest import trainer

E, BATCHES = 6, 4
SMALL: dict[str, Any] = {
    **{"image_size": 32, "image_channels": 1, "generator_width": 2, "discriminator_width": 2, "latent_dim": 3},
    **{"c_dim": 4, "residual_blocks": 1, "text_encoder": {"name": "bag_of_words", "dim": E}},
}
SGD = {"name": "sgd", "lr": 0.05, "betas": None}
SGDS = {"generator_optimizer": SGD, "discriminator_optimizer": SGD}


def made(**options: Any) -> StackGAN:
    return StackGAN(**{**SMALL, **options})


def batches(size: int = 8, count: int = BATCHES) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "image": torch.randint(0, 256, (size, 1, 32, 32), dtype=torch.uint8, generator=generator),
            "text": torch.randn(size, E, generator=generator),
            "kind": torch.arange(size) // 2,
        }
        for _ in range(count)
    ]


def trained(model: StackGAN, steps: int, given: list[dict[str, Tensor]], **options: Any) -> StackGAN:
    runner = trainer(max_steps=steps, max_epochs=-1, **options)
    runner.fit(model, torch.utils.data.DataLoader(given, batch_size=None))
    return model


def weights(network: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


class Plain:
    """One stage as the paper's code has it, each player by plain SGD; Stage-II may be held to the small image."""

    def __init__(self, stage: Any, coarse_weight: float = 0.0) -> None:
        self.stage, self.coarse_weight = stage, coarse_weight
        self.generator, self.discriminator = copy.deepcopy(stage.generator), copy.deepcopy(stage.discriminator)
        self.steps = [torch.optim.SGD(net.parameters(), 0.05) for net in (self.discriminator, self.generator)]

    def round(self, number: int, image: Tensor, condition: Tensor, kind: Tensor, noise: int) -> None:
        text = condition[:, -E:]
        torch.manual_seed(self.stage.key("shared", number, 0))
        latent = torch.randn(len(image), noise, dtype=torch.double)
        fake = self.generator(latent, condition)
        torch.manual_seed(self.stage.key("discriminator", number, 0))
        which, wrong = partners(kind)
        loss = 0.5 * softplus(self.discriminator(image[wrong], text[which])).mean() if len(which) else 0.0
        loss = loss + softplus(-self.discriminator(image, text)).mean()
        loss = loss + 0.5 * softplus(self.discriminator(fake.detach(), text)).mean()
        self.move(0, loss)
        mean, s = torch.nn.functional.leaky_relu(self.generator.augmentation.linear(text), 0.2).chunk(2, 1)
        divergence = (-s + 0.5 * (-1 + (2 * s).exp() + mean**2)).mean()
        loss = softplus(-self.discriminator(fake, text)).mean() + 2 * divergence
        if self.stage.coarse:
            small = avg_pool2d(fake, 2).flatten(1)
            loss = loss + self.coarse_weight * (small - condition[:, :-E]).square().mean()
        self.move(1, loss)

    def move(self, player: int, loss: Tensor) -> None:
        self.steps[player].zero_grad()
        loss.backward()
        self.steps[player].step()

    def equals(self, stage: Any) -> None:
        for own, other in ((self.discriminator, stage.discriminator), (self.generator, stage.generator)):
            torch.testing.assert_close(weights(other), weights(own), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("network", ["simple", "default"])
@pytest.mark.parametrize(("size", "coarse_weight"), [(3, 0.0), (8, 0.0), (8, 3.0)])
def test_both_stages_equal_plain_loops_of_the_paper(network: str, size: int, coarse_weight: float) -> None:
    """Two rounds of Stage-I on images at half their size, then two of Stage-II on what Stage-I makes of new noise."""
    model = made(network=network, stage_steps=[2, 2], coarse_weight=coarse_weight, **SGDS).double()
    first, second = Plain(model.stage1, coarse_weight), Plain(model.stage2, coarse_weight)
    before = weights(model.stage2.generator)
    for i, batch in enumerate(batches(size)):
        image, text = batch["image"].double() / 127.5 - 1, batch["text"].double()
        if i < 2:
            first.round(i, interpolate(image, scale_factor=0.5, mode="area"), text, batch["kind"], 7)
            continue
        torch.manual_seed(model.key("stage1", i, 0))
        with torch.no_grad():
            coarse = first.generator.eval()(torch.randn(size, 7, dtype=torch.double), text)
        second.round(i - 2, image, join(coarse, text), batch["kind"], 4)
    trained(model, 4, batches(size), precision="64-true")
    first.equals(model.stage1)
    second.equals(model.stage2)
    assert not torch.equal(before, weights(model.stage2.generator))


def test_a_stage_stays_as_it_is_while_the_other_learns() -> None:
    """To the bit, running statistics and the averages of its optimizers' gradients included."""
    model = made(stage_steps=[2, 3])
    states: list[dict[str, Tensor]] = []

    class Look:
        def on_train_batch_end(self, trainer: Any, module: StackGAN, *_: Any) -> None:
            states.append({name: value.clone() for name, value in module.state_dict().items()})

    look = type("Recorder", (Look, Callback), {})()
    trained(model, 5, batches(8, 5), callbacks=[look])
    for step in range(1, 5):
        moved = {name.split(".")[0] for name, value in states[step].items() if not value.equal(states[step - 1][name])}
        assert moved == ({"stage1"} if step < 2 else {"stage2"})
    assert (model.stage1.turns_taken["generator"], model.stage2.turns_taken["generator"]) == (2, 3)
    assert model.images_seen == 40


def test_what_is_told_of_a_round_is_of_the_stage_that_learns() -> None:
    class Told(Callback):
        def on_train_batch_end(self, trainer: Any, model: Any, *_: Any) -> None:
            told.append({name.split("/")[0] for name in model.latest_terms})
            shown.append({name.split("/")[0] for name in trainer.callback_metrics if "loss" in name})

    told: list[set[str]] = []
    shown: list[set[str]] = []
    trained(made(stage_steps=[2, 2]), 4, batches(), callbacks=[Told()], log_every_n_steps=1)
    assert told == shown == [{"stage1"}, {"stage1"}, {"stage2"}, {"stage2"}]


def test_the_second_stage_sees_the_average_of_the_first(tmp_path: Path) -> None:
    """From its first update on, in one run and in one of its own; to the bit as it was until its end."""
    model, ema, states = made(stage_steps=[2, 2]), EMA(16, None), list[dict[str, Tensor]]()

    class Look(Callback):
        def on_train_batch_end(self, trainer: Any, module: StackGAN, *_: Any) -> None:
            states.append(copy.deepcopy(module.stage1.generator.state_dict()))
            states.append(copy.deepcopy(ema.averages["stage1.generator"].state_dict()))

    def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
        return all(value.equal(other[name]) for name, value in one.items())

    trained(model, 4, batches(), callbacks=[ema, Look()])
    assert not equal(states[0], states[1])
    assert all(equal(states[3], state) for state in (states[2], *states[4:]))
    assert not equal(model.stage2.generator.state_dict(), ema.averages["stage2.generator"].state_dict())

    first, ema = made(stages=[1]), EMA(16, None)
    runner = trainer(max_steps=2, max_epochs=-1, callbacks=[ema])
    runner.fit(first, torch.utils.data.DataLoader(batches(), batch_size=None))
    runner.save_checkpoint(tmp_path / "first.ckpt")
    for stages, generator in (([2], ema.averages["stage1.generator"]), ([1], first.stage1.generator)):
        start_from(tmp_path / "first.ckpt", model := made(stages=stages))
        assert equal(model.stage1.generator.state_dict(), generator.state_dict())
        assert equal(model.stage1.discriminator.state_dict(), first.stage1.discriminator.state_dict())


def test_each_stage_begins_its_schedule_anew() -> None:
    rates: list[list[float]] = []

    class Look(Callback):
        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    adam = {"name": "adam", "lr": 1.0}
    options = {"generator_optimizer": adam, "discriminator_optimizer": adam, "lr_schedule": {"name": "linear"}}
    trained(made(stage_steps=[2, 4], **options), 6, batches(4, 6), callbacks=[Look()])
    first, second = [1, 0.5, 0, 0, 0, 0], [1, 1, 1, 0.75, 0.5, 0.25]
    assert rates == [[a, a, b, b] for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("size", [1, 3, 8])
def test_partners_are_of_another_kind(size: int) -> None:
    kind = torch.tensor([0, 0, 1, 2, 2, 2, 0, 1])[:size]
    torch.manual_seed(0)
    seen = set()
    for _ in range(200):
        which, wrong = partners(kind)
        assert which.tolist() == ([] if size == 1 else list(range(size)))
        assert bool((kind[which] != kind[wrong]).all())
        seen |= set(zip(which.tolist(), wrong.tolist(), strict=True))
    assert len(seen) == sum(int((kind != one).sum()) for one in kind)


def test_samples_of_one_kind_have_no_wrong_text() -> None:
    """A batch whose texts all fit all images teaches the discriminator nothing about them."""
    alike = [{**batch, "kind": torch.zeros(8, dtype=torch.long)} for batch in batches(8, 1)]
    model = trained(made(stages=[1]), 1, alike)
    assert float(model.latest_terms["stage1/loss/wrong_text"]) == 0


def test_what_a_discriminator_is_shown_of_a_wrong_text_is_felt() -> None:
    found = [weights(trained(made(stages=[1], wrong_weight=w), 1, batches()).stage1.discriminator) for w in (0.5, 0.0)]
    assert not torch.equal(*found)


NEAR: dict[str, Any] = {"text_head": "projection", "wrong_texts": 3, "matching_weight": 4.0}


def near(own: Tensor, kind: Tensor, past: list[tuple[Tensor, int]]) -> Tensor:
    """For each text itself, and then the three nearest of other kinds, one by one."""
    rows = []
    for text, number in zip(own, kind.tolist(), strict=True):
        others = sorted((other for other, its in past if its != number), key=lambda other: float((text - other).norm()))
        rows.append(torch.stack([text, *others[:3]]))
    return torch.stack(rows)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("head", ["concat", "projection"])
@pytest.mark.parametrize("size", [3, 8])
def test_the_nearest_wrong_texts_equal_a_plain_loop(stage: int, head: str, size: int) -> None:
    """Each image with each text in a pass of its own: two rounds of a stage, the second with texts of the first."""
    own: dict[str, Any] = {"text_head": head, "stages": [stage], "image_skip": True, "discriminator_norm": "none"}
    model = made(**{**NEAR, **own, **SGDS}).double()
    game, noise = (model.stage1, 7) if stage == 1 else (model.stage2, 4)
    plain, past = Plain(game), list[tuple[Tensor, int]]()
    given = [{**batch, "kind": torch.arange(size)} for batch in batches(size, 2)]
    for number, batch in enumerate(given):
        image, text = batch["image"].double() / 127.5 - 1, batch["text"].double()
        condition = text
        if stage == 1:
            image = interpolate(image, scale_factor=0.5, mode="area")
        else:
            torch.manual_seed(model.key("stage1", number, 0))
            with model.stage1.in_eval_mode(), torch.no_grad():
                condition = join(model.stage1.generator(torch.randn(size, 7, dtype=torch.double), text), text)
        past += zip(text, batch["kind"].tolist(), strict=True)
        texts = near(text, batch["kind"], past) if size > 3 or number else near(text, batch["kind"], past)[:, :3]
        torch.manual_seed(plain.stage.key("shared", number, 0))
        fake = plain.generator(torch.randn(size, noise, dtype=torch.double), condition)

        def scores(of: Tensor, these: Tensor = texts) -> Tensor:
            return torch.stack([plain.discriminator(of, each) for each in these.unbind(1)], 1)

        on_real, on_fake = scores(image), plain.discriminator(fake.detach(), text)
        loss = softplus(-on_real[:, 0]).mean() + 0.5 * (softplus(on_fake).mean() + softplus(on_real[:, 1:]).mean())
        plain.move(0, loss + 4 * -(on_real[:, 0] - on_real.exp().sum(1).log()).mean())
        mean, s = torch.nn.functional.leaky_relu(plain.generator.augmentation.linear(text), 0.2).chunk(2, 1)
        on_fake = scores(fake)
        loss = softplus(-on_fake[:, 0]).mean() + 2 * (-s + 0.5 * (-1 + (2 * s).exp() + mean**2)).mean()
        plain.move(1, loss + 4 * -(on_fake[:, 0] - on_fake.exp().sum(1).log()).mean())
    trained(model, 2, given, precision="64-true")
    plain.equals(game)


@pytest.mark.parametrize(("tricks", "passes"), [((), 3), ((JointBatch,), 4)])
def test_an_image_is_looked_at_once_with_all_its_texts(tricks: tuple[Any, ...], passes: int) -> None:
    """In a round: real ones, and fakes in either turn; real ones again where a trick's look had them among others."""
    model = compose(StackGAN, *tricks)(**SMALL, **NEAR, stages=[1], discriminator_norm="none")
    shown: list[int] = []
    model.stage1.discriminator.image.register_forward_hook(lambda _, x, __: shown.append(len(x[0])))
    trained(model, 1, batches())
    assert sum(shown) == 8 * passes


@pytest.mark.parametrize("option", NEAR)
def test_what_is_asked_about_wrong_texts_is_felt(option: str) -> None:
    """By both players where both are asked."""
    less = {**NEAR, option: {"text_head": "concat", "wrong_texts": 2, "matching_weight": 0.0}[option]}
    found = [trained(made(stages=[1], **options), 1, batches()).stage1 for options in (NEAR, less)]
    assert not torch.equal(*(weights(stage.discriminator.image) for stage in found))
    assert not torch.equal(*(weights(stage.generator) for stage in found))


def test_the_second_stage_may_be_otherwise_and_begin_at_the_first() -> None:
    options = {"generator_width": 2, "discriminator_norm": "none", "generator_optimizer": {"lr": 0.5}, "kl_weight": 7.0}
    adam: dict[str, Any] = {"generator_width": 4, "generator_optimizer": {"name": "adam", "lr": 0.1}}
    plain, own = made(**adam), made(**adam, stage2_options=options, image_skip=True)
    assert weights(own.stage1).equal(weights(plain.stage1))
    assert own.stage2.generator.output.in_channels * 2 == plain.stage2.generator.output.in_channels
    assert [stage.discriminator_norm for stage in (own.stage1, own.stage2)] == ["batch", "none"]
    assert [stage.options["kl_weight"] for stage in (own.stage1, own.stage2)] == [2.0, 7.0]
    optimizers = [stage.generator_optimizer for stage in (own.stage1, own.stage2, plain.stage2)]
    assert optimizers == [{"name": "adam", "lr": lr} for lr in (0.1, 0.5, 0.1)]
    by_default = made(stage2_options={"generator_optimizer": {"lr": 0.5}}).stage2.generator_optimizer
    assert by_default == {"name": "adam", "lr": 0.5, "betas": [0.5, 0.999]}
    sgd = made(**adam, stage2_options={"generator_optimizer": {"name": "sgd", "lr": 0.5}}).stage2.generator_optimizer
    assert sgd == {"name": "sgd", "lr": 0.5}  # of another optimizer's options nothing is left
    latent, text = own.sample_latent(2), own.encode(["one", "two"])
    with own.in_eval_mode(), torch.no_grad():
        coarse, fine = (own(latent, text, stage=stage) for stage in (1, 2))
    assert float((fine - interpolate(coarse, 32, mode="bilinear")).abs().max()) < 1e-5


OTHERWISE: list[dict[str, Any]] = [
    {"matching_weight": 1.0},
    {"kl_weight": 50.0},
    {"coarse_weight": 50.0},
    {"r1_gamma": 10.0},
    {"generator_optimizer": {"name": "sgd", "lr": 0.2}},
]


@pytest.mark.parametrize("own", OTHERWISE)
def test_what_the_second_stage_has_otherwise_is_felt_there_alone(own: dict[str, Any]) -> None:
    """A trick's option, too: a Stage-I for which R1 weighs 0 is one without the trick."""
    given = {**SMALL, **NEAR, "discriminator_norm": "none", "stage_steps": [1, 2]}
    options: dict[str, Any] = {**given, "stage2_options": own, **{name: 0.0 for name in own if name == "r1_gamma"}}
    plain = trained(StackGAN(**given), 3, batches(8, 3))
    other = trained((compose(StackGAN, R1Penalty) if "r1_gamma" in own else StackGAN)(**options), 3, batches(8, 3))
    assert weights(other.stage1).equal(weights(plain.stage1))
    assert not weights(other.stage2.generator).equal(weights(plain.stage2.generator))


def test_what_the_second_stage_changes_sees_the_first_ones_pixels_where_they_are() -> None:
    """A pixel's change is felt at once in its own neighbourhood, whatever the small maps pass on of it."""
    generator = made(image_skip=True, generator_norm="none").stage2.generator
    torch.nn.init.normal_(generator.output.weight)
    torch.nn.init.zeros_(generator.hidden[-1][1][0].weight)  # nothing comes through the small maps
    condition = torch.rand(1, 16 * 16 + E) - 0.5
    other = condition.clone()
    other[0, 8 * 16 + 8] += 0.3
    plain = [interpolate(c[:, :256].view(1, 1, 16, 16), 32, mode="bilinear").atanh() for c in (condition, other)]
    with torch.no_grad():
        changes = [generator(torch.zeros(1, generator.augmentation.dim), c).atanh() for c in (condition, other)]
    felt = ((changes[1] - plain[1]) - (changes[0] - plain[0])).abs().sum(1)[0] > 1e-4
    assert felt[16:18, 16:18].all()
    felt[10:25, 10:25] = False
    assert not felt.any()


def test_without_norm_the_discriminators_convolutions_begin_as_in_he_et_al() -> None:
    """Std sqrt(2 / (1.04 * 16 in_channels)), where DCGAN's is 0.02."""
    norms = {
        norm: made(discriminator_width=32, discriminator_norm=norm).stage2.discriminator for norm in ("none", "group")
    }
    last = {norm: found.image[1][0].weight for norm, found in norms.items()}
    assert last["none"].shape == last["group"].shape
    torch.testing.assert_close(
        float(last["none"].detach().std()), (2 / (1.04 * 16 * last["none"].shape[1])) ** 0.5, rtol=0.03, atol=0
    )
    torch.testing.assert_close(float(last["group"].detach().std()), 0.02, rtol=0.03, atol=0)


def test_past_texts_are_in_the_checkpoint_once_they_are_asked_for(tmp_path: Any) -> None:
    for name, options in (("none", {}), ("some", NEAR)):
        model = made(stage_steps=[1, 1], **options)
        runner = trainer(max_steps=2, max_epochs=-1)
        runner.fit(model, torch.utils.data.DataLoader(batches(8, 2), batch_size=None))
        runner.save_checkpoint(tmp_path / f"{name}.ckpt")
    games = [torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["games"] for name in ("none", "some")]
    assert games[0]["stage1"]["memories"] == {}
    for number, stage in enumerate(("stage1", "stage2")):
        torch.testing.assert_close(games[1][stage]["memories"]["past_texts"]["texts"], batches()[number]["text"])


def test_a_run_may_go_on_without_past_texts(tmp_path: Path) -> None:
    runner = trainer(max_steps=3, max_epochs=-1)
    runner.fit(made(stage_steps=[2, 2], **NEAR), torch.utils.data.DataLoader(batches(), batch_size=None))
    runner.save_checkpoint(tmp_path / "it.ckpt")
    without = made(stage_steps=[2, 2], **{**NEAR, "wrong_texts": 0, "matching_weight": 0.0})
    assert longer(without, 4, tmp_path / "it.ckpt").stage2.turns_taken["generator"] == 2


def test_the_average_divergence_falls_and_no_augmentation_has_none() -> None:
    model = trained(made(stages=[1], kl_weight=100.0, generator_optimizer={**SGD, "lr": 0.02}), 40, batches())
    start = trained(made(stages=[1]), 1, batches())
    assert float(model.latest_terms["stage1/loss/kl"]) / 50 < float(start.latest_terms["stage1/loss/kl"])
    assert "stage1/loss/kl" not in trained(made(stages=[1], augmentation="none"), 1, batches()).latest_terms


def test_images_of_captions(tmp_path: Any) -> None:
    """As many as asked for, the same again from a checkpoint; Stage-I's until Stage-II has learnt something."""
    data = Digits(image_size=32, batch_size=8)
    model = made(stage_steps=[1, 1])
    runner = trainer(max_steps=2, max_epochs=-1, default_root_dir=tmp_path)
    runner.fit(model, data)
    assert model.remembered_captions[:3] == ["0", "2", "3"] or set(model.remembered_captions) == set("0123456789")
    runner.save_checkpoint(tmp_path / "it.ckpt")
    again = load(tmp_path / "it.ckpt")
    assert isinstance(again, StackGAN)
    latent = model.sample_latent(3)
    whole = model.sample(captions=["one", "two", "three"], latent=latent)
    assert whole.shape == (3, 1, 32, 32)
    torch.testing.assert_close(again.sample(captions=["one", "two", "three"], latent=latent), whole)
    assert not torch.equal(model.sample(captions="two", latent=latent[1:2]), whole[:1])
    torch.testing.assert_close(model.sample(captions="two", latent=latent[1:2]), whole[1:2], rtol=1e-4, atol=1e-5)
    assert model.sample(5, captions=["one", "two"]).shape == (5, 1, 32, 32)
    assert model.sample(stage=1).shape == (1, 1, 16, 16)
    assert model.sample(4).shape == (4, 1, 32, 32)
    pair = model.sample(captions="one", latent=latent[:1], beside=True)
    enlarged = interpolate(model.sample(captions="one", latent=latent[:1], stage=1), 32, mode="bilinear")
    torch.testing.assert_close(pair, torch.cat([enlarged, model.sample(captions="one", latent=latent[:1])], 3))
    fresh = made()
    small = fresh.sample(captions="one", latent=latent[:1], stage=1)
    large = fresh.sample(captions="one", latent=latent[:1])
    torch.testing.assert_close(large, interpolate(small, 32, mode="bilinear"))


def test_the_way_from_one_text_to_another() -> None:
    """It begins and ends at their own images, by steps of equal length."""
    model = made()
    latent = model.sample_latent(1)
    way = model.interpolate("one", "two", 5, latent=latent)
    assert way.shape == (5, 1, 32, 32)
    for place, text in ((0, "one"), (-1, "two")):
        torch.testing.assert_close(way[place], model.sample(captions=text, latent=latent)[0], rtol=1e-4, atol=1e-6)
    middle = model.sample(1, latent=latent, condition=model.encode(["one", "two"]).mean(0, keepdim=True))
    torch.testing.assert_close(way[2:3], middle, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="at least 2 images from one text to another, not 1"):
        model.interpolate("one", "two", 1)


def test_captions_are_found_again_by_their_embeddings() -> None:
    model = made()
    model.remembered_captions = ["a red circle", "a blue square", "a star"]
    model.remembered_conditions = model.encode(model.remembered_captions)
    drawn = model.sample_condition(20)
    assert drawn is not None
    assert set(model.captions_of(drawn)) == set(model.remembered_captions)
    torch.testing.assert_close(model.encode(model.captions_of(drawn)), drawn)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 48}, "8, 16, 32, 64, 128"),
        ({"coarse_size": 32}, "must be smaller than Stage-II's 32 pixels, got 32"),
        ({"network": "large"}, "network must be simple or default, got 'large'"),
        ({"augmentation": "yes"}, "augmentation must be one of log_std, log_variance, rectified, glu, none, got 'yes'"),
        ({"kl_weight": -1.0}, r"kl_weight must be at least 0, got -1\.0"),
        ({"stage2_options": {"generator_width": 0}}, "generator_width must be at least 1, got 0"),
        ({"stage2_options": {"width": 2}}, "stage2_options are some of network, .*; 'width' is none"),
        ({"stage2_options": {"c_dim": 2}}, "stage2_options are some of network, .*; 'c_dim' is none"),
        ({"text_head": "projektion"}, "text_head must be concat or projection, got 'projektion'"),
        ({"wrong_texts": -1}, "wrong_texts must be at least 0, got -1"),
        ({"matching_weight": 1.0}, r"compares with wrong ones: set model\.wrong_texts=8"),
        ({"wrong_weight": 1.5}, r"wrong_weight must be in \[0, 1\], got 1\.5"),
        ({"c_dim": 0}, "c_dim must be at least 1, got 0"),
        ({"stages": [3]}, "There are stage1, stage2 to train, not 3"),
        ({"stage_steps": [0, 5]}, "stage_steps must be numbers of at least 1"),
        ({"text_encoder": {"name": "bag_of_word"}}, "bag_of_words"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        made(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "2 stages must know how long they are: set model.stage_steps, or trainer.max_steps to 2 or more"),
        ({"stage_steps": [4]}, "a number for each of the 2 stages trained"),
    ],
)
def test_stages_that_do_not_know_how_long_they_are(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        trained(made(**options), 4 if options else -1, batches())


@pytest.mark.parametrize("compiled", [True, False])
def test_networks_of_stages_are_compiled_or_channels_last(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    monkeypatch.setattr(torch.nn.Module, "compile", lambda network: None)
    model = trained(made(stage_steps=[1, 1], compile=compiled), 2, batches())
    for stage in (model.stage1, model.stage2):
        maps = [w for w in stage.discriminator.parameters() if w.dim() == 4 and w.shape[1] > 1 and w.shape[2] > 1]
        assert {w.is_contiguous(memory_format=torch.channels_last) for w in maps} == {not compiled}


def test_a_run_that_ends_too_soon_warns() -> None:
    with pytest.warns(UserWarning, match=r"ends before stage2 begins: .*\[2, 2\] and trainer.max_steps=2"):
        model = trained(made(stage_steps=[2, 2]), 2, batches())
    assert not model.stage2.turns_taken["generator"]


def test_the_last_stage_goes_on_until_the_run_ends() -> None:
    model = trained(made(stage_steps=[1, 1]), 4, batches())
    assert (model.stage1.turns_taken["generator"], model.stage2.turns_taken["generator"]) == (1, 3)


@pytest.mark.parametrize("own", [{"stage_steps": None}, {"stage_steps": [4, 4]}])
def test_a_longer_run_goes_on_in_the_stage_it_was_in(tmp_path: Path, own: dict[str, Any]) -> None:
    """Shares of the new length, and longer stages, leave what the second stage has learnt from as it is."""
    model = made(stage_steps=[2, 2])
    runner = trainer(max_steps=3, max_epochs=-1)
    runner.fit(model, torch.utils.data.DataLoader(batches(), batch_size=None))
    runner.save_checkpoint(tmp_path / "it.ckpt")
    whole = longer(made(**own), 8, tmp_path / "it.ckpt")
    assert (whole.stage1.turns_taken["generator"], whole.stage2.turns_taken["generator"]) == (2, 6)
    assert weights(whole.stage1).equal(weights(model.stage1))


def longer(model: StackGAN, steps: int, path: Path) -> StackGAN:
    """Trained up to so many updates, from a checkpoint on."""
    given = torch.utils.data.DataLoader(batches(8, steps), batch_size=None)
    trainer(max_steps=steps, max_epochs=-1).fit(model, given, ckpt_path=path, weights_only=True)
    return model


def test_the_last_stages_schedule_ends_with_the_run() -> None:
    model = made(stage_steps=[1, 2], lr_schedule={"name": "linear"}, **SGDS)
    rates: list[float] = []

    class Look(Callback):
        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            rates.append(trainer.optimizers[2 * (trainer.global_step > 0)].param_groups[0]["lr"] / 0.05)

    trained(model, 5, batches(8, 5), callbacks=[Look()])
    torch.testing.assert_close(rates, [1.0, 1.0, 0.75, 0.5, 0.25])


def test_samples_as_a_data_set_has_them() -> None:
    """Pictures and watches ask the data themselves: all captions of an image are there, none is drawn yet."""
    texts = torch.randn(3, 6, E)
    batch = made().prepare({"image": batches(3)[0]["image"], "texts": texts, "kind": torch.arange(3)})
    torch.testing.assert_close(batch["text"], texts[:, :4].mean(1))


def test_data_without_texts_and_captions_without_words() -> None:
    with pytest.raises(ValueError, match="A batch needs `text`"):
        trained(made(), 2, [{"image": batch["image"]} for batch in batches()])
    with pytest.raises(ValueError, match="There is no caption"):
        made().sample(captions=[])
    with pytest.raises(ValueError, match="give captions, or a condition"):
        made().sample(2)
    with pytest.raises(ValueError, match=r"1,777 images have no class that would tell: leave them out"):
        trainer(max_steps=2, max_epochs=-1).fit(made(stages=[1]), Digits(image_size=32, batch_size=8, num_labelled=20))


def test_a_stage_for_which_r1_weighs_nothing_may_have_batch_norm() -> None:
    both = compose(StackGAN, R1Penalty)
    options: dict[str, Any] = {"stage2_options": {"r1_gamma": 1.0, "discriminator_norm": "none"}, **SMALL}
    assert trained(both(r1_gamma=0.0, stage_steps=[1, 1], **options), 2, batches()).stage2.turns_taken["generator"] == 1
    with pytest.raises(ValueError, match="batch"):
        trained(both(r1_gamma=1.0, stage_steps=[1, 1], **options), 2, batches())
