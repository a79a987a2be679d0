"""Adaptive augmentation in the game: whose signs drive p, on one device and on two, and who sees what with it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lit_gans
from lit_gans import GAN, augmentations, compose
from lit_gans.mixins import AdaptiveAugmentation, OneSidedLabelSmoothing, R1Penalty, Relativistic, Unrolled
from lit_gans.models import DCGAN, MLPGAN, WGANGP
from tests.conftest import TINY, fit, images
from tests.mixins.ada_processes import BATCH, BATCHES, INTERVAL, OPTIONS, Recording
from tests.models.test_twins import BATCH as SIZE
from tests.models.test_twins import BATCHES as ROUNDS
from tests.models.test_twins import ns_d, ns_g, plain_loop

Adaptive = compose(DCGAN, AdaptiveAugmentation)
MLP = {"latent_dim": 4, "sample_shape": [1, 16, 16], "discriminator_hidden": [8]}


def simulated(signs: list[list[float]], parts: int, batch: int, **options: Any) -> list[list[float]]:
    """P and r_t after every turn, from the signs of all devices in every part of the turns: the recipe in floats."""
    p, r_t, window, found = options["ada_start"], 0.0, [], []
    for turn in range(1, len(signs) // parts + 1):
        window += [sign for part in signs[(turn - 1) * parts : turn * parts] for sign in part]
        if turn % options["ada_interval"] == 0:
            r_t = sum(window) / len(window)
            direction = (r_t > options["ada_target"]) - (r_t < options["ada_target"])
            p = min(max(p + direction * batch * options["ada_interval"] / options["ada_images"], 0.0), 1.0)
            window = []
        found.append([p, r_t])
    return found


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_p_follows_the_signs_of_the_discriminators_own_turns(n_critic: int, accumulate: int) -> None:
    options = {"ada_target": 0.2, "ada_interval": 2, "ada_images": 100, "ada_start": 0.4}
    model = compose(DCGAN, Recording)(**TINY, **options, n_critic=n_critic, accumulate=accumulate)
    fit(model, images(160), 8, max_epochs=1)
    assert len(model.trajectory) == 20
    assert len(model.signs) == 20 * accumulate
    expected = simulated(model.signs, accumulate, 8, **options)
    torch.testing.assert_close(torch.tensor(model.trajectory), torch.tensor(expected), rtol=0, atol=1e-6)
    assert len({p for p, _ in expected}) > 3


@pytest.mark.parametrize("trick", [Unrolled, R1Penalty])
def test_only_the_discriminators_turn_is_heard(trick: type[GAN]) -> None:
    """Who looks ahead asks for logits of real samples in the generator's turn."""
    heard = []

    class Listening(AdaptiveAugmentation):
        def hear(self, signs: Tensor, images: int) -> None:
            heard.append((float(signs[1]), images))
            super().hear(signs, images)

    fit(compose(MLPGAN, Listening, trick)(**MLP, ada_start=0.5), images(24), 8, max_epochs=1)
    assert heard == [(8.0, 8)] * 3


def test_equals_a_plain_loop_with_a_fixed_p() -> None:
    """Both players' turns, real and fake: an interval that never ends keeps p."""
    model = Adaptive(**TINY, ada_start=0.6, ada_interval=1000, n_critic=2).double()

    def shown(discriminator: Any) -> Any:
        return lambda x: discriminator(augmentations.ada(x, 0.6))

    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    twins = plain_loop(model, 2, lambda d, x, g: ns_d(shown(d), x, g), lambda d, g: ns_g(shown(d), g), adam)
    fit(model, images(SIZE * ROUNDS), SIZE, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


def test_at_0_it_is_the_plain_game_bit_for_bit() -> None:
    weights = []
    for cls, options in ((DCGAN, {}), (Adaptive, {"ada_target": 1.0})):  # never above its target
        model = cls(**TINY, **options)
        fit(model, images(64), 8, max_epochs=1)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)
    x = torch.randn(3, 1, 16, 16)
    assert torch.equal(Adaptive(**TINY).discriminator_input(x), x)
    assert not torch.equal(Adaptive(**TINY, ada_start=1.0).discriminator_input(x), x)


def test_p_and_r_t_are_logged_when_due() -> None:
    published: list[dict[str, float]] = []

    class Logging(Recording):
        def publish(self, values: Any) -> None:
            super().publish(values)
            published.append({name: float(value) for name, value in self.trainer.callback_metrics.items()})

    options = {"ada_target": 0.0, "ada_interval": 1, "ada_images": 100, "ada_start": 0.3}
    model = compose(DCGAN, Logging)(**TINY, **options)
    fit(model, images(64), 8, max_epochs=1, log_every_n_steps=4)
    found = [[values["ada/p"], values["ada/r_t"]] for values in published]
    torch.testing.assert_close(found, [model.trajectory[3], model.trajectory[7]])
    assert all("loss/generator" in values for values in published)


def test_a_checkpoint_holds_p_and_what_was_heard(tmp_path: Path) -> None:
    model = Adaptive(**TINY, ada_start=0.25, ada_images=1000, ada_target=-1.0)
    fit(model, images(48), 8, max_epochs=1).save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    loaded = lit_gans.load(tmp_path / "a.ckpt")
    assert float(loaded.ada.p) == pytest.approx(0.25 + 32 / 1000)
    assert torch.equal(loaded.ada.heard, model.ada.heard)
    assert int(loaded.ada.heard[1]) == 16  # two turns since the last adjustment


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.mixins.ada_processes", "2", str(folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"2-{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_two_devices_share_one_p(ranks: list[dict[str, Any]]) -> None:
    first, second = ranks
    assert first["trajectory"] == second["trajectory"]
    assert first["signs"] != second["signs"]
    both = [mine + others for mine, others in zip(first["signs"], second["signs"], strict=True)]
    expected = simulated(both, 2, BATCH, **OPTIONS)
    assert len(expected) == BATCHES
    torch.testing.assert_close(torch.tensor(first["trajectory"]), torch.tensor(expected), rtol=0, atol=1e-6)
    alone = simulated(first["signs"], 2, BATCH, **OPTIONS)
    assert [r_t for _, r_t in alone] != [r_t for _, r_t in expected]
    assert len({p for p, _ in expected}) > 1
    assert first["heard"] == [[BATCH, BATCH]] * BATCHES  # the signs of both, and their images
    assert BATCHES > 2 * INTERVAL


def test_the_signs_travel_with_the_gradients(ranks: list[dict[str, Any]]) -> None:
    model = compose(DCGAN, Recording)(**TINY, **OPTIONS, discriminator_norm="none")
    gradients = [sum(p.numel() for p in net.parameters()) for net in (model.discriminator, model.generator)]
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert ranks[0]["collectives"] == [gradients[0] + 2, gradients[1] + statistics + 2] * BATCHES


@pytest.mark.parametrize(("model", "trick", "name"), [(WGANGP, None, "WGANGP"), (DCGAN, Relativistic, "Relativistic")])
def test_losses_without_a_zero_are_refused(model: type[GAN], trick: type[GAN] | None, name: str) -> None:
    tricks = [AdaptiveAugmentation, *([trick] if trick else [])]
    with pytest.raises(ValueError, match=rf"0 means nothing to the loss of {name}: use model=dcgan or model=sngan"):
        compose(model, *tricks)(**TINY)


def test_smoothed_labels_go_with_it() -> None:
    assert isinstance(compose(DCGAN, AdaptiveAugmentation, OneSidedLabelSmoothing)(**TINY), GAN)


def test_least_squares_only_with_zero_between_its_targets() -> None:
    lsgan = pytest.importorskip("lit_gans.models.lsgan").LSGAN
    with pytest.raises(ValueError, match="0 means nothing to the loss of LSGAN"):
        compose(lsgan, AdaptiveAugmentation)(**TINY)
    assert isinstance(compose(lsgan, AdaptiveAugmentation)(**TINY, pearson=True), GAN)


def test_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ada moves and recolours images .* shape \(2,\)"):
        compose(MLPGAN, AdaptiveAugmentation)()
