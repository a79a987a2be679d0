"""Early stopping: which looks count, where a run ends, and what is said about it."""

import math
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from lit_gans.callbacks.early_stopping import EarlyStopping
from lit_gans.models import MLPGAN
from tests.callbacks.test_collapse import BATCH, POINTS
from tests.conftest import trainer

SAME = POINTS[:BATCH] * 30


class Scores(Callback):
    """Publishes one score after another, one every other update."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.step = scores, 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        step = trainer.global_step
        if step != self.step and step % 2 == 0 and step // 2 <= len(self.scores):
            pl_module.publish({"fid/digits": self.scores[step // 2 - 1]})
        self.step = step


def run(
    scores: list[float], early: EarlyStopping, ckpt_path: Path | None = None, n_critic: int = 1, **options: Any
) -> Any:
    runner = trainer(callbacks=[Scores(*scores), early], max_steps=20, **options)
    model = MLPGAN(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8], n_critic=n_critic)
    runner.fit(model, DataLoader(SAME, BATCH), ckpt_path=ckpt_path)
    return runner


@pytest.mark.parametrize(
    ("options", "scores", "looks", "best"),
    [
        ({"patience": 1}, [3, 2, 2, 1], 3, (2.0, 4)),
        ({"patience": 2}, [3, 2, 2.5, 1, 1, 4, 0], 6, (1.0, 8)),
        ({"patience": 2}, [3, 3, 3, 1], 3, (3.0, 2)),
        ({"patience": 2, "mode": "max"}, [3, 4, 3, 5, 5, 4.9, 9], 6, (5.0, 8)),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.6, 2.5, 2.1, 2.1], 5, (2.5, 6)),
        ({"patience": 2, "min_delta": 0.5, "mode": "max"}, [3, 3.4, 3.5, 3.9, 3.9], 5, (3.5, 6)),
        ({"patience": 2}, [3, math.nan, 2, math.nan, math.nan, 1], 5, (2.0, 6)),
        ({"patience": 2}, [math.nan, math.nan, 1], 2, None),
        ({"patience": 2}, [3, 2, 1, 0], None, (0.0, 8)),
    ],
)
def test_looks_without_an_improvement_in_a_row(
    options: dict[str, Any], scores: list[float], looks: int | None, best: tuple[float, int] | None
) -> None:
    early = EarlyStopping("fid/digits", **options)
    runner = run(scores, early)
    assert runner.global_step == (20 if looks is None else 2 * looks)
    assert early.best == best
    assert early.stopped_at == (None if looks is None else 2 * looks)


def test_a_number_that_stays_published_is_one_look() -> None:
    early = EarlyStopping("fid/digits", patience=1)
    assert run([1.0], early).global_step == 20
    assert early.looks == 0


def test_a_round_of_several_batches_has_one_look() -> None:
    early = EarlyStopping("fid/digits", patience=2)
    assert run([1.0, 2.0, 3.0], early, n_critic=3).global_step == 6


def test_the_end_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    run([3, 1.25, 2, 2], EarlyStopping("fid/digits", patience=2))
    run([3, 1.25, 2, 2], EarlyStopping("fid/digits", patience=1, min_delta=0.5, mode="max"))
    run([math.nan] * 3, EarlyStopping("fid/digits", patience=3))
    run([3, 2, 1], EarlyStopping("fid/digits", patience=3))
    assert [line for line in capsys.readouterr().out.splitlines() if "early" in line] == [
        "Stopped early at update 8: fid/digits has not improved in the last 2 looks; the best was 1.25 at update 4.",
        "Stopped early at update 4: fid/digits has not improved by 0.5 in the last look; the best was 3 at update 2.",
        "Stopped early at update 6: fid/digits was no number in the last 3 looks.",
    ]


def test_a_score_that_was_never_published_is_named() -> None:
    with pytest.warns(UserWarning, match=r"'fid/digits' was never published, but images_seen, loss/disc.* was\.$"):
        run([], EarlyStopping("fid/digits"), log_every_n_steps=1)
    with pytest.warns(UserWarning, match=r"'fid/digits' was never published, but nothing was\.$"):
        run([], EarlyStopping("fid/digits"), log_every_n_steps=1000)


@pytest.mark.parametrize("stop", [2, 3, 6])
def test_a_resumed_run_goes_on_counting(stop: int, tmp_path: Path) -> None:
    scores, straight = [3.0, 1.0, 2.0, 2.0, 2.0, 0.0], EarlyStopping("fid/digits", patience=3)
    assert run(scores, straight).global_step == 10
    before, after = EarlyStopping("fid/digits", patience=3), EarlyStopping("fid/digits", patience=3)
    runner = trainer(callbacks=[Scores(*scores), before], max_steps=stop)
    model = MLPGAN(latent_dim=4, generator_hidden=[8], discriminator_hidden=[8])
    runner.fit(model, DataLoader(SAME, BATCH))
    runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    assert run(scores, after, tmp_path / "a.ckpt").global_step == 10
    assert (after.best, after.looks) == (straight.best, straight.looks) == ((1.0, 4), 3)


def test_a_second_fit_begins_anew() -> None:
    early = EarlyStopping("fid/digits", patience=2)
    assert [run([1.0, 2.0, 3.0], early).global_step for _ in range(2)] == [6, 6]
    assert run([1.0], early).global_step == 20
    assert early.stopped_at is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "low"}, "mode must be 'min' or 'max', got 'low'"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"min_delta": -1.0}, "min_delta must be at least 0, got -1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EarlyStopping("fid/digits", **options)
