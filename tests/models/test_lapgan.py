"""LAPGAN: three levels against a plain loop of the paper, independence of the levels, the cascade."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from lit_gans import GAN, compose, keys, load, pyramid
from lit_gans.callbacks.look import told
from lit_gans.callbacks.remedies import remedies
from lit_gans.callbacks.samples import SampleGrid
from lit_gans.mixins import CheckpointReplay, R1Penalty
from lit_gans.models import LAPGAN
from tests.conftest import fit, images

BATCHES, BATCH = 5, 8
SMALL: dict[str, Any] = {
    "image_size": 16,
    "sizes": [16, 12, 6],
    "image_channels": 1,
    "width": 4,
    "coarsest_generator_width": 10,
    "coarsest_discriminator_width": 8,
    "latent_dim": 5,
}
SGD, ADAM = {"name": "sgd", "lr": 0.02, "momentum": 0.5}, {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}


def made(**options: Any) -> LAPGAN:
    return LAPGAN(**{**SMALL, **options})


def batches() -> list[Tensor]:
    whole = torch.stack([item["image"] for item in images(BATCH * BATCHES)]).double() / 127.5 - 1
    return list(((whole - whole.mean()) / whole.std()).split(BATCH))


def plain_level(k: int, game: GAN, optimizer: Any) -> tuple[Any, Any]:
    """One level, written from the paper: real differences plus real coarse images, against made ones."""
    sizes = SMALL["sizes"]
    generator, discriminator = copy.deepcopy(game.generator), copy.deepcopy(game.discriminator)
    steps = [optimizer(network.parameters()) for network in (discriminator, generator)]
    for i, image in enumerate(batches()):
        fine, coarse = pyramid.shrink(image, sizes[k]), None
        if k < 2:
            coarse = pyramid.enlarge(pyramid.shrink(image, sizes[k + 1]), sizes[k])
        torch.manual_seed(game.key("shared", i, 0))
        noise = torch.rand(BATCH, sizes[k] ** 2 if k < 2 else 5, dtype=torch.double) * 2 - 1
        fake = generator(noise, coarse) if k < 2 else generator(noise)
        for turn, (name, step) in enumerate(zip(("discriminator", "generator"), steps, strict=True)):
            torch.manual_seed(game.key(name, i, 0))
            step.zero_grad()
            if turn == 0:
                real_logits, fake_logits = discriminator(fine), discriminator(fake.detach())
                loss = bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits))
            else:
                fake_logits = discriminator(fake)
                loss = bce(fake_logits, torch.ones_like(fake_logits))
            loss.backward()
            step.step()
    return generator, discriminator


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        (SGD, lambda p: torch.optim.SGD(p, 0.02, 0.5)),
        (ADAM, lambda p: torch.optim.Adam(p, 1e-3, (0.5, 0.9))),
    ],
    ids=["sgd", "adam"],
)
def test_equals_a_plain_loop(options: Any, optimizer: Any) -> None:
    model = made(generator_optimizer=options, discriminator_optimizer=options).double()
    twins = [plain_level(k, model.named(f"level{k}"), optimizer) for k in range(3)]
    before = copy.deepcopy(model)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for k, (generator, discriminator) in enumerate(twins):
        game, start = model.named(f"level{k}"), before.named(f"level{k}")
        for ours, theirs, old in (
            (game.generator, generator, start.generator),
            (game.discriminator, discriminator, start.discriminator),
        ):
            pairs = zip(ours.named_parameters(), theirs.parameters(), old.parameters(), strict=True)
            for (name, a), b, first in pairs:
                torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10, msg=lambda m, n=f"{k} {name}": f"{n}: {m}")
                assert not torch.equal(a, first), name


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_level_alone_is_the_same_and_moves_no_other(k: int) -> None:
    joint, alone = made(), made(levels=[k])
    before = copy.deepcopy(alone.state_dict())
    for model in (joint, alone):
        runner = fit(model, images(32), 8, max_epochs=1)
        assert runner.global_step == 4
    for name, value in alone.state_dict().items():
        if name.startswith(f"level{k}."):
            assert torch.equal(value, joint.state_dict()[name]), name
        elif name.startswith("level"):
            assert torch.equal(value, before[name]), name
    assert {term.split("/")[0] for term in alone.latest_terms} == {f"level{k}"}


def test_a_turn_moves_its_own_network_alone() -> None:
    moved: list[set[str]] = []

    class Watched(LAPGAN):
        def make_games(self) -> Any:
            games = super().make_games()
            for name, game in games.items():
                game.take_turn = self.watched(name, game.take_turn)
            return games

        def watched(self, name: str, turn: Any) -> Any:
            def watching(index: int, *args: Any, **kwargs: Any) -> Any:
                before = {key: value.clone() for key, value in self.state_dict().items()}
                terms = turn(index, *args, **kwargs)
                changed = {key for key, value in self.state_dict().items() if not torch.equal(value, before[key])}
                moved.append({".".join(key.split(".")[:2]) for key in changed})
                return terms

            return watching

    fit(Watched(**SMALL), images(8), 8, max_epochs=1)
    players = ("discriminator", "generator")
    assert moved == [{f"level{k}.{player}"} for k in range(3) for player in players]


def test_every_level_keeps_past_selves() -> None:
    """And not the last one alone, whose turns are what counts as updates."""
    model = compose(LAPGAN, CheckpointReplay)(**SMALL, past_every=1)
    fit(model, images(16), 8, max_epochs=1)
    assert isinstance(model, LAPGAN)
    for k in range(3):
        level = model.named(f"level{k}")
        assert isinstance(level, CheckpointReplay)
        assert len(level.past_selves.queue) == 2


def test_tricks_are_each_levels_own() -> None:
    cls = compose(LAPGAN, R1Penalty)
    model = cls(**SMALL, r1_gamma=3.0)
    assert isinstance(model, LAPGAN)
    assert all(isinstance(model.named(f"level{k}"), R1Penalty) for k in range(3))
    fit(model, images(16), 8, max_epochs=1)
    assert {f"level{k}/penalty/discriminator" for k in range(3)} <= model.latest_terms.keys()
    with pytest.raises(TypeError, match="r1_gama"):
        cls(**SMALL, r1_gama=3.0)


# Sampling


@pytest.mark.parametrize("n", [1, 3, 300])
def test_the_cascade(n: int) -> None:
    """I_K = G_K(z), I_k = l_k + G_k(z, l_k), by hand."""
    model = made().double().eval()
    model.standardize.mean.fill_(0.1)
    model.standardize.deviation.fill_(0.2)
    latent = model.sample_latent(n)
    assert latent.shape == (n, 16**2 + 12**2 + 5)
    assert float(latent.abs().max()) <= 1
    assert float(latent.min()) < -0.8
    assert float(latent.max()) > 0.8
    z0, z1, z2 = latent.split([16**2, 12**2, 5], 1)
    image = model.named("level2").generator(z2)
    for k, z, size in ((1, z1, 12), (0, z0, 16)):
        generator = model.named(f"level{k}").generator
        coarse = pyramid.enlarge(image, size)
        planes = torch.cat([z.view(-1, 1, size, size), coarse], 1)
        image = coarse + generator.output(generator.hidden(planes))
    torch.testing.assert_close(model.sample(n, latent=latent), (image * 0.2 + 0.1).clamp(-1, 1))


def test_every_level_of_the_same_samples_is_drawn(tmp_path: Path) -> None:
    model = made()
    callbacks = [SampleGrid(n=4)]
    fit(model, images(16), 8, max_epochs=1, callbacks=callbacks, default_root_dir=tmp_path)
    assert [path.name for path in sorted((tmp_path / "samples").iterdir()) if path.is_dir()] == ["level1", "level2"]
    drawn = {(tmp_path / "samples" / view / "step_000002.png").read_bytes() for view in (".", "level1", "level2")}
    assert len(drawn) == 3
    latent = callbacks[0].latent
    assert model.sample(4, latent=latent, level=1).shape == (4, 1, 12, 12)
    middle = model.sample(4, latent=latent, level=1)
    whole = model.sample(4, latent=latent, coarse=middle)
    torch.testing.assert_close(model.sample(4, latent=latent), whole)


def test_samples_from_given_coarse_images() -> None:
    model = made()
    real = torch.rand(3, 1, 6, 6) * 2 - 1
    latent = model.sample_latent(3)
    found = model.sample(3, coarse=real, latent=latent)
    assert found.shape == (3, 1, 16, 16)
    other = latent.clone()
    other[:, -5:] += 1  # the coarsest level's, which is not asked
    assert torch.equal(model.sample(3, coarse=real, latent=other), found)
    assert model.sample(2, coarse=torch.zeros(2, 1, 12, 12)).shape == (2, 1, 16, 16)
    for wrong in (
        torch.zeros(2, 1, 12, 12),
        torch.zeros(3, 1, 7, 7),
        torch.zeros(3, 3, 6, 6),
        torch.zeros(3, 1, 16, 16),
    ):
        with pytest.raises(ValueError, match=r"the shape \(3, 1, 12, 12\) or \(3, 1, 6, 6\), got \("):
            model.sample(3, coarse=wrong)


def test_labels_are_felt_by_every_network() -> None:
    model = made(num_classes=10)
    fit(model, images(16), 8, max_epochs=1)
    latent = model.sample_latent(2)
    assert not torch.equal(model.sample(2, latent=latent, label=3), model.sample(2, latent=latent, label=4))
    image = model.prepare({"image": torch.stack([item["image"] for item in images(4)]), "label": torch.arange(4)})
    for k in range(3):
        game = model.named(f"level{k}").eval()
        batch = model.game_batch(f"level{k}", image)
        other = model.game_batch(f"level{k}", {**image, "label": torch.arange(4) + 1})
        assert torch.equal(batch["image"], other["image"])
        logits = [game.discriminate(batch["image"], game.condition(each)) for each in (batch, other)]
        assert not torch.equal(*logits)


def test_the_data_are_standardised_once() -> None:
    model = made()
    data = images(64)
    fit(model, data, 8, max_epochs=1)
    pixels = torch.stack([item["image"] for item in data]).float() / 127.5 - 1
    torch.testing.assert_close(model.standardize.mean.flatten(), pixels.mean().view(1))
    torch.testing.assert_close(model.standardize.deviation.flatten(), pixels.std().view(1))
    fit(model, images(16, seed=1), 8, max_epochs=2)
    torch.testing.assert_close(model.standardize.mean.flatten(), pixels.mean().view(1))


def test_levels_have_keys_of_their_own() -> None:
    model = made(seed=7)
    assert [model.named(f"level{k}").seed for k in range(3)] == [keys.key(7, f"level{k}") for k in range(3)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sizes": [16, 16, 6]}, "got 16 and then 16 pixels"),
        ({"sizes": [16, 8, 4]}, r"needs 9 pixels or more, got \[16, 8, 4\]"),
        ({"sizes": [12, 6]}, r"must begin with the image's 16 pixels, got \[12, 6\]"),
        ({"shrinking": "blur"}, "after 16 come 8 pixels, not 12"),
        ({"levels": [3]}, "There are level0, level1, level2 to train, not level3"),
        ({"levels": []}, "to train, not none"),
        ({"n_critic": 0}, "n_critic must be at least 1"),
        ({"coarsest_generator_width": 0}, "widths must be at least 1, got 0 and 8"),
        ({"coarsest": "dense"}, "coarsest must be fully_connected or convolutional, got 'dense'"),
    ],
)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        made(**options)


@pytest.mark.parametrize(
    "other",
    [
        *[{"width": 5}, {"coarsest_generator_width": 9}, {"coarsest_discriminator_width": 9}, {"latent_dim": 6}],
        *[{"sizes": [16, 10, 6]}, {"sizes": [16, 8], "shrinking": "blur"}, {"num_classes": 10}, {"n_critic": 2}],
        *[{"accumulate": 2}, {"gradient_clip": 1e-3}, {"lr_schedule": {"name": "linear", "updates": 4}}, {"seed": 1}],
        *[{"generator_optimizer": ADAM}, {"discriminator_optimizer": ADAM}, {"coarsest": "convolutional"}],
        {"lr_schedule": {"name": "momentum", "every": 1, "growth": 0.05}},
    ],
    ids=str,
)
def test_every_option_is_felt(other: dict[str, Any]) -> None:
    """By the weights of a level that the option concerns, after four batches."""
    base = {"sizes": [16, 8]} if "shrinking" in other else {}

    def weights(**options: Any) -> Tensor:
        model = made(**options)
        fit(model, images(32), 8, max_epochs=1)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    plain, changed = weights(**base), weights(**{**base, **other})
    assert plain.shape != changed.shape or not torch.equal(plain, changed)


def test_a_checkpoint_makes_the_same_samples(tmp_path: Path) -> None:
    model = compose(LAPGAN, R1Penalty)(**SMALL, r1_gamma=2.0)
    fit(model, images(16), 8, max_epochs=1).save_checkpoint(tmp_path / "last.ckpt", weights_only=False)
    again = load(tmp_path / "last.ckpt")
    assert again.recipe() == model.recipe()
    own, loaded = model.state_dict(), again.state_dict()
    assert own.keys() == loaded.keys()
    assert all(torch.equal(own[name], loaded[name]) for name in own)
    latent = model.sample_latent(3).double()  # the weights lie otherwise in memory, which may decide the last bits
    samples = [one.double().sample(3, latent=latent) for one in (again, model)]
    torch.testing.assert_close(*samples, rtol=1e-9, atol=1e-12)
    assert (
        again.named("level1").turns_taken == model.named("level1").turns_taken == {"discriminator": 2, "generator": 2}
    )


def test_the_watch_asks_every_levels_discriminator() -> None:
    model = made().eval()
    batch = model.prepare({"image": torch.stack([item["image"] for item in images(8)])})
    found = told(model, batch, torch.empty(0), 4)
    names = ("accuracy_real", "accuracy_fake", "rt", "margin")
    assert found.keys() == {f"level{k}/{name}" for k in range(3) for name in names}
    for k in range(3):
        game, own = model.named(f"level{k}"), model.game_batch(f"level{k}", batch)
        logits = game.discriminator(own["image"])
        assert found[f"level{k}/accuracy_real"] == float((logits > 0).double().mean())


def test_the_remedies_leave_out_what_the_levels_have() -> None:
    assert "tricks=[r1]" in remedies("victory", made())
    assert "tricks=[r1]" not in remedies("victory", compose(LAPGAN, R1Penalty)(**SMALL))
