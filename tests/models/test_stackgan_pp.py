"""One tree, several sizes: each round against a plain loop of the paper, who moves, and what is felt."""

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import glu, interpolate, softplus

from lit_gans import compose, load
from lit_gans.data import Digits
from lit_gans.mixins import CheckpointReplay, HistoricalAveraging
from lit_gans.models import StackGANPP
from lit_gans.wrong_texts import partners
from tests.conftest import trainer
from tests.models.test_stackgan import SGDS, E, batches, weights

SMALL: dict[str, Any] = {
    **{"image_size": 32, "scales": 3, "image_channels": 1, "generator_width": 4, "discriminator_width": 2},
    **{"latent_dim": 3, "c_dim": 4, "residual_blocks": 1, "text_encoder": {"name": "bag_of_words", "dim": E}},
}
SIZES = (8, 16, 32)


def made(**options: Any) -> StackGANPP:
    return StackGANPP(**{**SMALL, **options})


def trained(model: Any, steps: int, given: list[dict[str, Tensor]], **options: Any) -> Any:
    runner = trainer(max_steps=steps, max_epochs=-1, **options)
    runner.fit(model, torch.utils.data.DataLoader(given, batch_size=None))
    return model


def mean_and_covariance(image: Tensor) -> tuple[Tensor, Tensor]:
    pixels = image.flatten(2)
    covariances = [torch.cov(one, correction=0).reshape(len(one), len(one)) for one in pixels]
    return pixels.mean(2), torch.stack(covariances)


class Plain:
    """The authors' loop: every discriminator a step, then the generator one, each by plain SGD."""

    def __init__(self, model: StackGANPP) -> None:
        self.model = model
        self.branches = [copy.deepcopy(model.named(name).generator) for name in model.names]
        self.critics = [copy.deepcopy(model.named(name).discriminator) for name in model.names]
        self.augmentation = copy.deepcopy(model.augmentation)
        self.tree = torch.nn.ModuleList([self.augmentation, *self.branches])
        self.unconditional, self.colour = (model.options[f"{key}_weight"] for key in ("unconditional", "colour"))

    def round(self, number: int, batch: dict[str, Tensor]) -> None:
        image, text = batch["image"].double() / 127.5 - 1, batch["text"].double()
        torch.manual_seed(self.model.key("shared", number, 0))
        latent = torch.randn(len(text), 7, dtype=torch.double)
        mean, log_variance = glu(self.augmentation.linear(text), 1).chunk(2, 1)
        c = mean + (log_variance / 2).exp() * latent[:, 3:]
        hidden, fakes = latent[:, :3], []
        for branch in self.branches:
            hidden, fake = branch(hidden, c)
            fakes.append(fake)
        u, fake_weight = self.unconditional, 1.0 if self.unconditional else 0.5
        for k, (critic, fake) in enumerate(zip(self.critics, fakes, strict=True)):
            real = interpolate(image, SIZES[k], mode="area")
            torch.manual_seed(self.model.named(f"scale{SIZES[k]}").key("discriminator", number, 0))
            which, wrong = partners(batch["kind"])
            on_real, on_fake = (critic(x, mean.detach()) for x in (real, fake.detach()))
            on_wrong = critic(real[wrong], mean.detach()[which])
            loss = softplus(-on_real[:, 0]).mean()
            loss = loss + fake_weight * (softplus(on_wrong[:, 0]).mean() + softplus(on_fake[:, 0]).mean())
            if u:
                loss = loss + u * (softplus(-on_real[:, 1]) + softplus(on_fake[:, 1])).mean()
                loss = loss + u * softplus(-on_wrong[:, 1]).mean()
            self.move(critic, loss)
        loss = 2 * (-log_variance / 2 + 0.5 * (-1 + log_variance.exp() + mean**2)).mean()
        for critic, fake in zip(self.critics, fakes, strict=True):
            logits = critic(fake, mean.detach())
            loss = loss + softplus(-logits[:, 0]).mean() + (u * softplus(-logits[:, 1]).mean() if u else 0)
        for coarse, fine in pairwise(fakes):
            ours, theirs = mean_and_covariance(fine), mean_and_covariance(coarse.detach())
            loss = loss + self.colour * (ours[0] - theirs[0]).square().mean()
            loss = loss + 5 * self.colour * (ours[1] - theirs[1]).square().mean()
        self.move(self.tree, loss)

    @staticmethod
    def move(network: torch.nn.Module, loss: Tensor) -> None:
        parameters = list(network.parameters())
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 0.05 * gradient


@pytest.mark.parametrize("size", [3, 8])
@pytest.mark.parametrize("options", [{}, {"unconditional_weight": 0.0}, {"unconditional_weight": 0.3}])
def test_rounds_equal_a_plain_loop_of_the_paper(size: int, options: dict[str, float]) -> None:
    model = made(colour_weight=2.0, **options, **SGDS).double()
    plain = Plain(model)
    for number, batch in enumerate(batches(size, 3)):
        plain.round(number, batch)
    trained(model, 3, batches(size, 3), precision="64-true")
    pairs = [(model.augmentation, plain.augmentation)]
    pairs += [(model.named(name).generator, own) for name, own in zip(model.names, plain.branches, strict=True)]
    pairs += [(model.named(name).discriminator, own) for name, own in zip(model.names, plain.critics, strict=True)]
    for ours, theirs in pairs:
        torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-8, atol=1e-11)


def test_everyone_moves_in_a_round_and_the_generator_counts() -> None:
    model = made()
    before = {name: value.clone() for name, value in model.named_parameters()}
    trained(model, 2, batches(8, 2))
    assert [name for name, value in model.named_parameters() if value.equal(before[name])] == []
    assert model.turns_taken["generator"] == model.trainer.global_step == 2
    assert all(model.named(name).turns_taken == {"discriminator": 2, "generator": 2} for name in model.names)
    assert {name.split(".")[0] for name in model.averaged_networks} == {*model.names, "augmentation"}


def test_critics_have_more_turns_than_the_generator() -> None:
    model = trained(made(n_critic=3), 2, batches(8, 6))
    assert model.turns_taken["generator"] == 2
    assert model.named("scale8").turns_taken == {"discriminator": 6, "generator": 2}


@pytest.mark.parametrize("parts", [1, 2])
def test_a_batch_in_parts(parts: int) -> None:
    """Without batch statistics, and with no noise in c and in z, both halves together are the whole."""
    options = {"generator_norm": "none", "discriminator_norm": "none", "augmentation": "none", **SGDS}
    model = made(**options, accumulate=parts).double()
    model.sample_latent = lambda n: torch.zeros(n, 7, dtype=torch.double)
    alike = [{**batch, "kind": torch.zeros(8, dtype=torch.long)} for batch in batches(8, 2)]
    found = weights(trained(model, 2, alike, precision="64-true"))
    whole = made(**options).double()
    whole.sample_latent = lambda n: torch.zeros(n, 7, dtype=torch.double)
    torch.testing.assert_close(found, weights(trained(whole, 2, alike, precision="64-true")), rtol=1e-8, atol=1e-11)


def test_tricks_are_each_scales_own_and_the_trees_too() -> None:
    """What holds a generator back is felt by its branch; a past self of a branch plays on what the others make."""
    options = {"history_weight": 10.0, **SGDS}
    held = trained(compose(StackGANPP, HistoricalAveraging)(**SMALL, **options), 3, batches())
    free = trained(made(**SGDS), 3, batches())
    assert not torch.equal(weights(held.named("scale8").generator), weights(free.named("scale8").generator))
    assert "scale16/penalty/generator" in held.latest_terms
    past = compose(StackGANPP, CheckpointReplay)(**SMALL, past_every=1, past_probability=1.0, **SGDS)
    assert not torch.equal(weights(trained(past, 3, batches())), weights(free))


def test_images_of_captions_at_every_size(tmp_path: Any) -> None:
    model = made()
    runner = trainer(max_steps=2, max_epochs=-1, default_root_dir=tmp_path)
    runner.fit(model, Digits(image_size=32, batch_size=8))
    runner.save_checkpoint(tmp_path / "it.ckpt")
    again, latent = load(tmp_path / "it.ckpt"), model.sample_latent(2)
    assert isinstance(again, StackGANPP)
    whole = model.sample(captions=["one", "two"], latent=latent)
    torch.testing.assert_close(again.sample(captions=["one", "two"], latent=latent), whole)
    for size in SIZES:
        assert model.sample(captions=["one", "two"], size=size).shape == (2, 1, size, size)
    torch.testing.assert_close(model.sample(captions=["one", "two"], latent=latent, size=32), whole)
    assert set(model.views) == {"scale8", "scale16"}
    with pytest.raises(ValueError, match="makes images of 8, 16, 32 pixels here, not 64"):
        model.sample(captions="one", size=64)
    with pytest.raises(ValueError, match="give captions, or a condition"):
        made().sample(2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 48}, "8, 16, 32, 64, 128"),
        ({"scales": 4}, r"An image of 32 pixels has 1 to 3 scale\(s\), the least of 8, not 4"),
        ({"scales": 0}, "not 0"),
        ({"colour_weight": -1.0}, r"colour_weight must be at least 0, got -1\.0"),
        ({"unconditional_weight": -1.0}, r"unconditional_weight must be at least 0, got -1\.0"),
        ({"discriminator_width": 0}, "discriminator_width must be at least 1, got 0"),
        ({"augmentation": "yes"}, "augmentation must be one of"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        made(**options)
