"""Modes counted during training: when, of whose weights, under which names, and felt by nobody."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_gans import GAN
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.modes import ModeCount, PointJudge
from lit_gans.data import Digits, Dirac, Rings, StackedDigits
from lit_gans.metrics import modes
from lit_gans.models import DCGAN, MLPGAN
from tests.callbacks.modes_processes import main
from tests.conftest import TINY, trainer

NAMES = {"captured", "high_quality", "reverse_kl", "spread", "sliced_wasserstein", "mmd"}


def point_model(**options: Any) -> MLPGAN:
    return MLPGAN(**{"latent_dim": 4, "generator_hidden": [16], "discriminator_hidden": [16], **options})


def run(model: GAN, data: Any, *callbacks: Any, **options: Any) -> list[tuple[int, dict[str, float]]]:
    """What was published, with its step."""
    published: list[tuple[int, dict[str, float]]] = []
    real = model.publish
    model.publish = lambda values: published.append((model.global_step, dict(values))) or real(values)
    runner = trainer(callbacks=list(callbacks), log_every_n_steps=1000, **options)
    runner.fit(model, datamodule=data)
    return published


def rings(**options: Any) -> Rings:
    return Rings(**{"num_samples": 640, "batch_size": 64, **options})


def test_scores_are_published_when_due_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    count = ModeCount(every=2, num_points=50)
    published = run(point_model(n_critic=2), rings(), count, max_steps=5)
    assert [step for step, _ in published] == [2, 4, 5]
    assert all(values.keys() == {f"modes/{name}" for name in NAMES} for _, values in published)
    assert "modes, of 8 at update 5: captured " in capsys.readouterr().out
    assert count.last == (published[-1][1], 5)


def test_they_are_those_of_the_averaged_samples() -> None:
    count, ema, model, data = (
        ModeCount(every=None, num_points=64, batch_size=64),
        EMA(half_life=64),
        point_model(),
        rings(),
    )
    published = run(model, data, ema, count, max_steps=6)
    with ema.swapped(model):
        points = model.keyed(lambda: model.sample(64), "modes", 6, 0)
    expected = modes.point_scores(points.double(), data.centres.double(), data.std)
    for name, value in expected.items():
        assert published[-1][1][f"modes/{name}"] == pytest.approx(value, rel=1e-9, nan_ok=True)
    raw = model.keyed(lambda: model.sample(64), "modes", 6, 0)
    assert not torch.allclose(points, raw, atol=1e-4)


def test_the_data_itself_scores_as_true_samples() -> None:
    data = Rings(num_samples=20_000, batch_size=64)
    data.setup("fit")
    judge = PointJudge(data, 2500)
    fresh = Rings(num_samples=2500, batch_size=64, seed=1)
    fresh.setup("fit")
    found = judge.score(fresh.train_dataset.images(torch.arange(2500)))
    assert found["captured"] == 8
    assert found["high_quality"] == pytest.approx(0.9889, abs=0.01)
    assert found["reverse_kl"] < 0.01
    assert found["sliced_wasserstein"] < 0.1
    assert abs(found["mmd"]) < 0.01


def test_stacked_digits_are_counted_by_the_reader_they_name() -> None:
    model = DCGAN(**{**TINY, "image_channels": 3})
    data = StackedDigits(image_size=16, batch_size=16)
    ((step, values),) = run(model, data, ModeCount(every=None, num_stacks=40, batch_size=16), max_steps=2)
    assert step == 2
    assert values.keys() == {"modes/captured_digits", "modes/reverse_kl_digits", "modes/confident_digits"}
    assert 1 <= values["modes/captured_digits"] <= 40


def test_points_without_width_have_a_distance_only() -> None:
    ((_, values),) = run(point_model(), Dirac(num_samples=64, batch_size=8), ModeCount(every=None), max_steps=1)
    assert values.keys() == {"modes/sliced_wasserstein"}


def test_other_data_are_left_alone_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert run(DCGAN(**TINY), Digits(image_size=16, batch_size=64), ModeCount(every=1), max_steps=2) == []
    assert sum("Modes are counted where they are known" in line for line in caplog.messages) == 1


def test_counting_is_not_felt() -> None:
    found = []
    for callbacks in ([], [ModeCount(every=1, num_points=20)]):
        model = point_model(generator_norm="batch")
        run(model, rings(), *callbacks, max_steps=4)
        found.append(model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_resumed_run_has_the_scores_of_one_that_never_stopped(tmp_path: Any) -> None:
    straight = run(point_model(), rings(), ModeCount(every=2, num_points=30), max_steps=6)
    model = point_model()
    first = trainer(callbacks=[ModeCount(every=2, num_points=30)], max_steps=3, log_every_n_steps=1000)
    first.fit(model, datamodule=rings())
    first.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    again, published = point_model(), []
    again.publish = lambda values: published.append((again.global_step, dict(values)))
    second = trainer(callbacks=[ModeCount(every=2, num_points=30)], max_steps=6, log_every_n_steps=1000)
    second.fit(again, datamodule=rings(), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert str(published) == str(straight[1:])


@pytest.mark.parametrize("option", ["every", "num_points", "num_stacks", "batch_size"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least"):
        ModeCount(**{option: 0})


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    main(1, tmp_path)
    command = [sys.executable, "-W", "ignore", "-m", "tests.callbacks.modes_processes", "2", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    alone, first, second = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1"))
    assert str(alone) == str(first) == str(second)  # a spread that is NaN, too
    assert {"modes/captured", "modes/captured_digits"} <= alone.keys()
