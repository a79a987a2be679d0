"""Past fakes in the discriminator's turn: against plain loops, and what is shown to whom."""

import copy
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

import lit_gans
from lit_gans import compose
from lit_gans.mixins import ExperienceReplay
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g

Show = Callable[[Tensor, list[Tensor], Random], Tensor]
Replayed = compose(DCGAN, ExperienceReplay)


def simgan(fakes: Tensor, buffer: list[Tensor], draw: Random) -> Tensor:
    """Half the batch from the buffer of 10, at the odd positions; then half a batch of the present ones enters."""
    shown, half = list(fakes), len(fakes) // 2
    for position, place in enumerate(draw.sample(range(len(buffer)), min(half, len(buffer)))):
        shown[2 * position + 1] = buffer[place]
    present = [fakes[2 * i] for i in range(half)]
    stored = len(buffer)
    while len(buffer) < 10 and present:
        buffer.append(present.pop(0))
    for place in draw.sample(range(stored), min(len(present), stored)):
        buffer[place] = present.pop(0)
    return torch.stack(shown)


def pool(fakes: Tensor, buffer: list[Tensor], draw: Random) -> Tensor:
    """Image by image: stored while there is room for 10; else swapped for a past one with probability 0.3."""
    shown = []
    for fake in fakes:
        if len(buffer) < 10:
            buffer.append(fake)
        elif draw.random() < 0.3:
            place = draw.randrange(10)
            fake, buffer[place] = buffer[place], fake
        shown.append(fake)
    return torch.stack(shown)


def plain_loop(model: Any, show: Show, n_critic: int) -> Any:
    """The loop of the twins of models, with what the discriminator is shown put in between."""
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizer_g, optimizer_d = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, discriminator)
    )
    reals = torch.stack([item["image"] for item in images(BATCH * BATCHES)]).double().split(BATCH)
    buffer: list[Tensor] = []
    for i, real in enumerate(reals):
        last = (i + 1) % n_critic == 0
        torch.manual_seed(model.key("shared", i, 0) if last else model.key("discriminator", i, 0))
        fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        shown = show(fake.detach(), buffer, Random(model.key("replay", BATCH * i)))
        optimizer_d.zero_grad()
        ns_d(discriminator, real / 127.5 - 1, shown).backward()
        optimizer_d.step()
        if last:
            optimizer_g.zero_grad()
            ns_g(discriminator, fake).backward()
            optimizer_g.step()
    return generator, discriminator


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize(("kind", "show"), [("simgan", simgan), ("pool", pool)])
def test_equals_a_plain_loop(kind: str, show: Show, n_critic: int) -> None:
    model = Replayed(**TINY, replay_kind=kind, replay_size=10, replay_swap=0.3, n_critic=n_critic).double()
    twins = plain_loop(model, show, n_critic)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


def test_only_the_discriminator_is_shown_the_past() -> None:
    """With a pool of one and swaps for certain, D sees nothing but fakes of the batch before, one place further on."""
    seen: dict[str, list[Tensor]] = {"discriminator": [], "generator": []}

    class Spy(DCGAN):
        def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
            assert not fake.requires_grad
            seen["discriminator"].append(fake.clone())
            return super().discriminator_loss(real, fake, condition)

        def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
            assert fake.requires_grad
            seen["generator"].append(fake.detach().clone())
            return super().generator_loss(real, fake, condition)

    model = compose(Spy, ExperienceReplay)(**TINY, replay_kind="pool", replay_size=1, replay_swap=1.0)
    fit(model, images(24), max_epochs=1)
    present, shown = torch.cat(seen["generator"]), torch.cat(seen["discriminator"])
    assert len(present) == 24
    assert torch.equal(shown[1:], present[:-1])
    assert torch.equal(shown[0], present[0])


@pytest.mark.parametrize("accumulate", [2, 3])
@pytest.mark.parametrize("kind", ["simgan", "pool"])
def test_a_batch_in_parts_is_remembered_whole(kind: str, accumulate: int) -> None:
    model = Replayed(**TINY, replay_kind=kind, replay_size=64, accumulate=accumulate)
    fit(model, images(16), max_epochs=1)
    assert model.past_fakes.met == 16
    assert len(model.past_fakes.samples) == {"pool": 16, "simgan": {2: 8, 3: 6}[accumulate]}[kind]  # 3 + 3 + 2


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_hook_itself_detaches(n: int) -> None:
    model = Replayed(**TINY, replay_kind="pool", replay_size=2, replay_swap=1.0)
    for _ in range(3):
        fake = torch.randn(n, 1, 16, 16, requires_grad=True)
        shown = model.replay(fake)
        assert not shown.requires_grad
        assert shown.shape == fake.shape
        assert not model.past_fakes.samples.requires_grad


def test_a_conditional_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"conditions of their own, .* set model\.num_classes=0, or leave it out"):
        Replayed(**TINY, num_classes=10)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"replay_kind": "both"}, "replay_kind must be"),
        ({"replay_size": 0}, "replay_size must be at least 1"),
        ({"replay_swap": -0.1}, "replay_swap must be"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose(MLPGAN, ExperienceReplay)(**options)


def test_a_checkpoint_holds_the_buffer_and_no_more(tmp_path: Path) -> None:
    sizes = {}
    for size in (1, 16):
        model = Replayed(**TINY, replay_kind="pool", replay_size=size)
        runner = fit(model, images(24), max_epochs=1)
        runner.save_checkpoint(tmp_path / f"{size}.ckpt", weights_only=False)
        loaded = lit_gans.load(tmp_path / f"{size}.ckpt")
        assert torch.equal(loaded.past_fakes.samples, model.past_fakes.samples)
        assert loaded.past_fakes.met == 24
        assert loaded.sample(2).shape == (2, 1, 16, 16)
        sizes[size] = (tmp_path / f"{size}.ckpt").stat().st_size
    assert abs(sizes[16] - sizes[1] - 15 * 16 * 16 * 4) < 1024


def test_a_checkpoint_from_before_the_first_turn_or_without_a_memory_is_loaded(tmp_path: Path) -> None:
    runner = fit(Replayed(**TINY), images(8), max_steps=0)
    runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    assert lit_gans.load(tmp_path / "a.ckpt").past_fakes.samples is None
    contents = torch.load(tmp_path / "a.ckpt", weights_only=True)
    del contents["memories"]
    torch.save(contents, tmp_path / "b.ckpt")
    assert lit_gans.load(tmp_path / "b.ckpt").past_fakes.samples is None
