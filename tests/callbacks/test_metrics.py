"""FID and KID during training: when, of what, and what happens if they cannot be had."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lit_gans import GAN
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.metrics import GenerativeMetrics
from lit_gans.data import Digits, Rings
from lit_gans.metrics import reals
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import images, trainer

FEW = {"num_samples": 24, "batch_size": 10, "num_real": 40, "kid_subset_size": 20, "kid_subsets": 2}
Make = Callable[..., GenerativeMetrics]


@pytest.fixture
def metrics(tmp_path: Path) -> Make:
    """Makes a callback that looks at few images, with other options on demand."""
    return lambda **options: GenerativeMetrics(**{"every": 2, "cache_dir": str(tmp_path / "cache"), **FEW, **options})


def digits() -> Digits:
    return Digits(image_size=16, batch_size=8, num_workers=0)


def run(model: GAN, callbacks: list[Callback], ckpt_path: Path | None = None, **options: Any) -> lightning.Trainer:
    runner = trainer(callbacks=callbacks, **{"max_steps": 4, **options})
    runner.fit(model, datamodule=digits(), ckpt_path=ckpt_path)
    return runner


def watched(model: GAN) -> list[tuple[int, dict[str, float]]]:
    """Notes at which update the model publishes which scores."""
    published: list[tuple[int, dict[str, float]]] = []
    publish = model.publish

    def note(values: dict[str, float]) -> None:
        if any(name.startswith(("fid/", "kid/")) for name in values):
            published.append((model.global_step, dict(values)))
        publish(values)

    model.publish = note
    return published


@pytest.mark.parametrize("n_critic", [1, 3])
@pytest.mark.parametrize(("every", "updates"), [(2, [2, 4, 5]), (5, [5]), (None, [5]), (1, [1, 2, 3, 4, 5])])
def test_scores_every_so_many_updates_and_at_the_end_once(
    every: int | None, updates: list[int], n_critic: int, tiny: Callable[..., DCGAN], metrics: Make
) -> None:
    model = tiny(n_critic=n_critic)
    published = watched(model)
    run(model, [metrics(every=every)], max_steps=5)
    assert [step for step, _ in published] == updates
    assert all(values.keys() == {"fid/digits", "kid/digits"} for _, values in published)
    assert all(values["fid/digits"] > 0 for _, values in published)


def test_best_and_last_are_kept_and_printed(
    tiny: Callable[..., DCGAN], metrics: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, callback = tiny(), metrics(kid=False)
    given = iter([7.5, 3.25, 4.0])
    monkeypatch.setattr("lit_gans.metrics.scores.Scores.score", lambda self, fake: {"fid": next(given)})
    runner = run(model, [callback], max_steps=6)
    assert (callback.best, callback.last) == ((3.25, 4), (4.0, 6))
    assert "fid/digits: best 3.25 at update 4, last 4 at update 6\n" in capsys.readouterr().out
    assert runner.callback_metrics["fid/digits"] == 4.0
    assert "kid/digits" not in runner.callback_metrics


def test_scores_are_of_the_averaged_weights_in_eval_mode_and_of_256_levels(
    tiny: Callable[..., DCGAN], metrics: Make
) -> None:
    class Look(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Tensor] = []

        def forward(self, pixels: Tensor) -> Tensor:
            self.seen.append(pixels)
            return pixels.float().flatten(1)[:, :2]

    model, ema, look = tiny(), EMA(half_life=1e9), Look()
    run(model, [ema, metrics(every=None, extractor=look)])
    fakes = torch.cat(look.seen)[-24:]
    assert fakes.dtype == torch.uint8
    with ema.swapped(model):
        own = [
            model.keyed(lambda n=n: model.sample(n), "metrics", 4, start) for start, n in ((0, 10), (10, 10), (20, 4))
        ]
    expected = ((torch.cat(own) + 1) * 127.5).round().clamp(0, 255)
    assert torch.equal(fakes.float(), expected)
    raw = model.keyed(lambda: model.sample(10), "metrics", 4, 0)
    assert not torch.equal(fakes[:10].float(), ((raw + 1) * 127.5).round())
    assert model.generator.training


def test_scoring_changes_nothing_in_training(tiny: Callable[..., DCGAN], metrics: Make) -> None:
    with_scores, without = tiny(), tiny()
    torch.manual_seed(1)
    run(with_scores, [metrics(every=1)])
    after = torch.get_rng_state()
    torch.manual_seed(1)
    run(without, [])
    assert torch.equal(after, torch.get_rng_state())
    for name, value in without.state_dict().items():
        assert torch.equal(value, with_scores.state_dict()[name]), name


def test_a_resumed_run_scores_like_one_that_never_stopped(
    tiny: Callable[..., DCGAN], metrics: Make, tmp_path: Path
) -> None:
    straight, callback = tiny(n_critic=2), metrics()
    everything = watched(straight)
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1, filename="{step}")
    run(straight, [callback, saver], max_steps=6, enable_checkpointing=True)
    resumed, second = tiny(n_critic=2, seed=0), metrics()
    rest = watched(resumed)
    run(resumed, [second], tmp_path / "step=4.ckpt", max_steps=6)
    assert [step for step, _ in everything] == [2, 4, 6]
    assert rest == everything[2:]
    assert (second.best, second.last) == (callback.best, callback.last)
    assert torch.load(tmp_path / "step=4.ckpt", weights_only=True)["callbacks"][callback.state_key]["last"][1] == 4


def test_no_checkpoint_holds_the_extractor(tiny: Callable[..., DCGAN], metrics: Make, tmp_path: Path) -> None:
    model, callback = tiny(), metrics(every=None)
    runner = run(model, [callback])
    runner.save_checkpoint(tmp_path / "whole.ckpt")
    checkpoint = torch.load(tmp_path / "whole.ckpt", weights_only=True)
    assert checkpoint["state_dict"].keys() == tiny().state_dict().keys()
    assert not any(module is callback.extractor for module in model.modules())


def test_a_conditional_model_is_scored_on_the_data_s_classes(tiny: Callable[..., DCGAN], metrics: Make) -> None:
    model = tiny(num_classes=10)
    run(model, [metrics(every=None)])
    assert model.trainer.callback_metrics["fid/digits"] > 0


def test_reals_are_looked_at_once_for_all_runs(
    tiny: Callable[..., DCGAN], metrics: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tiny(), [metrics()])
    kept = list((tmp_path / "cache").iterdir())
    assert len(kept) == 1

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the statistics were on disk")

    monkeypatch.setattr(reals, "measure", never)
    second = run(tiny(), [metrics()])
    for name in ("fid/digits", "kid/digits"):
        assert first.callback_metrics[name] == second.callback_metrics[name]
    with pytest.raises(AssertionError, match="on disk"):
        run(tiny(), [metrics(num_real=39)])


def test_a_corrupt_or_unwritable_cache_only_warns(
    tiny: Callable[..., DCGAN], metrics: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = run(tiny(), [metrics()]).callback_metrics["fid/digits"]
    (kept,) = (tmp_path / "cache").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, logger="lit_gans"):
        assert run(tiny(), [metrics()]).callback_metrics["fid/digits"] == whole
        assert kept.read_bytes() == content
        (tmp_path / "file").touch()
        assert run(tiny(), [metrics(cache_dir=str(tmp_path / "file"))]).callback_metrics["fid/digits"] == whole
    said = [record.message for record in caplog.records if record.name == "lit_gans.metrics.reals"]
    assert [("made anew" in line, "cannot be kept" in line) for line in said][:1] == [(True, False)]
    assert "cannot be kept" in said[-1]


def test_points_are_skipped_with_one_line(metrics: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        runner = trainer(callbacks=[metrics()], max_steps=3)
        runner.fit(MLPGAN(latent_dim=2), datamodule=Rings(batch_size=8, num_workers=0))
    assert not any(name.startswith("fid") for name in runner.callback_metrics)
    assert sum("not scored" in line for line in caplog.messages) == 1


def test_kid_takes_what_there_is_and_says_so(
    tiny: Callable[..., DCGAN], metrics: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run(tiny(), [metrics(kid_subset_size=1000)])
    assert "KID compares subsets of 20 images, not 1000: there are no more." in caplog.messages


def test_two_extractors_side_by_side(tiny: Callable[..., DCGAN], metrics: Make) -> None:
    class Corner(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return pixels[:, 0, 6:10, 6].float()

    runner = run(tiny(), [metrics(every=None), metrics(every=None, extractor=Corner())])
    assert {"fid/digits", "kid/digits", "fid/corner", "kid/corner"} <= runner.callback_metrics.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"num_samples": 1}, "num_samples must be at least 2, got 1"),
        ({"num_real": 1}, "num_real must be at least 2, got 1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"kid_subsets": 0}, "kid_subsets must be at least 1, got 0"),
        ({"kid_subset_size": 1}, "kid_subset_size must be at least 2, got 1"),
        ({"extractor": "inceptoin"}, r"no extractor 'inceptoin': it is digits, inception"),
        ({"weights_path": "weights.pth"}, "of extractor=inception only"),
    ],
)
def test_impossible_options_are_refused_at_once(options: dict[str, Any], message: str, metrics: Make) -> None:
    with pytest.raises(ValueError, match=message):
        metrics(**options)


def test_missing_weights_are_told_before_training(tiny: Callable[..., DCGAN], metrics: Make, tmp_path: Path) -> None:
    model = tiny()
    with pytest.raises(FileNotFoundError, match=r"no Inception weights .*nowhere.pth: weights_path must be the file"):
        run(model, [metrics(extractor="inception", weights_path=str(tmp_path / "nowhere.pth"))])
    assert model.batches_seen == 0


def test_reals_must_come_from_a_data_module(tiny: Callable[..., DCGAN], metrics: Make) -> None:
    runner = trainer(callbacks=[metrics()], max_steps=2)
    with pytest.raises(ValueError, match=r"one of lit_gans.data \(got NoneType\), or leave this callback out"):
        runner.fit(tiny(), DataLoader(images(16), 8))


def test_making_the_callback_builds_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr(nn.Module, "__init__", never)
    GenerativeMetrics()
    GenerativeMetrics(extractor="inception")
