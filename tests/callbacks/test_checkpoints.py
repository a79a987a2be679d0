"""Which checkpoints are on disk when, under which name, and that each of them is whole."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from lit_gans import checkpoint
from lit_gans.callbacks.checkpoints import Checkpoints
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.samples import SampleGrid
from lit_gans.models import DCGAN, StackGAN
from tests.conftest import images, trainer
from tests.mixins.test_tricks import SMALL

Make = Callable[..., DCGAN]
ROOT = Path(__file__).parents[2]
BATCH = 8
SAME = images(BATCH) * 5  # every batch is the same, so a resumed run sees what the other saw


class Scores(Callback):
    """Publishes a score after some updates, and perhaps one at the end."""

    def __init__(self, scores: dict[int, float], last: float | None = None) -> None:
        self.scores, self.last, self.step = scores, last, 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if trainer.global_step != self.step and trainer.global_step in self.scores:
            pl_module.publish({"fid/digits": self.scores[trainer.global_step]})
        self.step = trainer.global_step

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self.last is not None:
            pl_module.publish({"fid/digits": self.last})


class At(Callback):
    """Does something once, after one batch."""

    def __init__(self, batch: int, act: Callable[[], None]) -> None:
        self.batch, self.act = batch, act

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == self.batch:
            self.act()


def run(model: Any, folder: Path, *callbacks: Callback, ckpt_path: Path | None = None, **options: Any) -> Any:
    runner = trainer(default_root_dir=folder, enable_checkpointing=True, callbacks=list(callbacks), **options)
    runner.fit(model, DataLoader(SAME, BATCH), ckpt_path=ckpt_path)
    return runner


def saved(folder: Path) -> dict[str, int]:
    """What is in the folder of checkpoints, and the update each file is of; each must be whole."""
    return {p.name: checkpoint.read(p)["global_step"] for p in sorted((folder / "checkpoints").iterdir())}


def states_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("n_critic", [1, 2, 3])
def test_files_at_every_multiple_beside_lightnings_own(tiny: Make, tmp_path: Path, n_critic: int) -> None:
    theirs = ModelCheckpoint(tmp_path / "theirs", "{step}", save_top_k=-1, every_n_train_steps=2)
    run(tiny(n_critic=n_critic), tmp_path, theirs, Checkpoints(every=2, keep=None), max_steps=7)
    numbered = {f"update_{step:06d}.ckpt": step for step in (2, 4, 6)}
    assert saved(tmp_path) == {"last.ckpt": 7, **numbered}
    assert sorted(path.name for path in (tmp_path / "theirs").iterdir()) == [f"step={step}.ckpt" for step in (2, 4, 6)]
    for step in (2, 4, 6):
        ours = checkpoint.read(tmp_path / f"checkpoints/update_{step:06d}.ckpt")
        lightnings = checkpoint.read(tmp_path / f"theirs/step={step}.ckpt")
        assert ours.keys() == lightnings.keys()
        assert states_equal(ours["state_dict"], lightnings["state_dict"])
        assert ours["game"] == lightnings["game"] == {**ours["game"], "batches_seen": step * n_critic}
        assert len(ours["optimizer_states"]) == 2


def test_the_newest_and_the_best_are_kept(tiny: Make, tmp_path: Path) -> None:
    scores = Scores({1: math.nan, 2: 9.5, 3: 2.25, 4: math.nan, 6: 4.0, 7: 1234.5})
    ours = Checkpoints(every=2, monitor="fid/digits", keep=2)
    run(tiny(), tmp_path, scores, ours, max_steps=9)
    assert saved(tmp_path) == {
        "best.ckpt": 3,
        "last.ckpt": 9,
        "update_000003-fid_digits_2.25.ckpt": 3,
        "update_000006-fid_digits_4.ckpt": 6,
        "update_000008.ckpt": 8,
    }
    assert (ours.best_score, ours.best_file) == (2.25, "update_000003-fid_digits_2.25.ckpt")
    state = checkpoint.read(tmp_path / "checkpoints/best.ckpt")["callbacks"]["Checkpoints"]
    assert (state["best_score"], state["best_file"]) == (2.25, "update_000003-fid_digits_2.25.ckpt")


def test_a_high_score_can_be_the_best_and_the_last_one_counts(tiny: Make, tmp_path: Path) -> None:
    ours = Checkpoints(every=100, monitor="fid/digits", mode="max")
    run(tiny(), tmp_path, Scores({2: 0.5, 3: 0.4}, last=0.75), ours, max_steps=5)
    assert saved(tmp_path) == {
        "best.ckpt": 5,
        "last.ckpt": 5,
        "update_000002-fid_digits_0.5.ckpt": 2,
        "update_000005-fid_digits_0.75.ckpt": 5,
    }


def test_a_score_is_of_the_update_it_was_published_at(tiny: Make, tmp_path: Path) -> None:
    run(tiny(n_critic=2), tmp_path, Scores({1: 3.0, 3: 5.0}), Checkpoints(2, "fid/digits"), max_steps=4)
    assert list(saved(tmp_path)) == [
        "best.ckpt",
        "last.ckpt",
        "update_000001-fid_digits_3.ckpt",
        "update_000002.ckpt",
        "update_000004.ckpt",
    ]


def test_scores_of_a_stage_that_is_not_the_last_make_nothing_the_best(tmp_path: Path) -> None:
    def stages() -> StackGAN:
        return StackGAN(**{**SMALL["stackgan"], "stage_steps": [2, 2]})

    monitor = Checkpoints(monitor="fid/digits", every=1, keep=None)
    run(stages(), tmp_path / "whole", Scores({1: 1.0, 2: 2.0, 3: 4.0, 4: 3.0}), monitor, max_steps=4)
    assert saved(tmp_path / "whole")["best.ckpt"] == 4
    early = Checkpoints(monitor="fid/digits")
    with pytest.warns(UserWarning, match=r"no best\.ckpt: 'fid/digits' was published before the last stage alone\."):
        run(stages(), tmp_path / "early", Scores({2: 2.0}), early, max_steps=4)


def test_a_monitor_that_was_never_published_is_named(tiny: Make, tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"no best\.ckpt: 'fid/digits' was never published, but images_seen, loss/disc"
    ):
        run(tiny(), tmp_path, Checkpoints(2, "fid/digits"), max_steps=2, log_every_n_steps=1)


def test_last_is_another_name_of_the_newest_or_a_copy(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny(), tmp_path / "a", Checkpoints(every=2), max_steps=2)
    folder = tmp_path / "a" / "checkpoints"
    assert (folder / "last.ckpt").samefile(folder / "update_000002.ckpt")

    def no_links(*_: Any) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    run(tiny(), tmp_path / "b", Checkpoints(every=2), max_steps=2)
    assert saved(tmp_path / "b") == {"last.ckpt": 2, "update_000002.ckpt": 2}


def test_a_resumed_run_goes_on_with_its_files(tiny: Make, tmp_path: Path) -> None:
    scores = {2: 1.5, 4: 7.0, 6: 3.0, 8: 8.0}
    options = {"every": 2, "monitor": "fid/digits", "keep": 1}
    run(tiny(), tmp_path, Scores(scores), Checkpoints(**options), max_steps=5)
    again = Checkpoints(**options)
    run(tiny(), tmp_path, Scores(scores), again, max_steps=9, ckpt_path=tmp_path / "checkpoints/last.ckpt")
    assert saved(tmp_path) == {
        "best.ckpt": 2,
        "last.ckpt": 9,
        "update_000002-fid_digits_1.5.ckpt": 2,
        "update_000008-fid_digits_8.ckpt": 8,
    }
    assert again.best_score == 1.5


def test_a_run_that_goes_on_in_another_folder_leaves_the_first_alone(tiny: Make, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    run(tiny(), old, Scores({2: 1.5}), Checkpoints(2, "fid/digits", keep=1), max_steps=4)
    before = saved(old)
    (new / "checkpoints").mkdir(parents=True)
    (new / "checkpoints" / "update_000004.ckpt").write_bytes((old / "checkpoints" / "last.ckpt").read_bytes())
    run(
        tiny(),
        new,
        Scores({8: 2.5}),
        Checkpoints(2, "fid/digits", keep=1),
        max_steps=8,
        ckpt_path=old / "checkpoints/last.ckpt",
    )
    assert saved(old) == before
    assert saved(new) == {
        "best.ckpt": 8,
        "last.ckpt": 8,
        "update_000004.ckpt": 4,  # was there before, is nobody's business
        "update_000008-fid_digits_2.5.ckpt": 8,
    }


def test_what_a_killed_run_left_half_is_swept_up(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".update_000123.ckpt.part").write_text("half")
    run(tiny(), tmp_path, Checkpoints(every=100), max_steps=1)
    assert saved(tmp_path) == {"last.ckpt": 1}


# NaN


def spoil(model: DCGAN, value: float = math.nan) -> Callable[[], None]:
    """Puts a number that is none among the weights."""

    def act() -> None:
        next(model.discriminator.parameters()).data.view(-1)[0] = value

    return act


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_model_that_is_no_number_takes_no_files_place(tiny: Make, tmp_path: Path, value: float) -> None:
    model, ours = tiny(), Checkpoints(every=2, monitor="fid/digits", keep=1)
    with pytest.warns(
        UserWarning, match=r"^Nothing is saved from update 5 on: there is NaN or infinity in it\.$"
    ) as said:
        run(model, tmp_path, Scores({4: 9.0, 5: 1.0, 7: 0.5}, last=0.1), At(5, spoil(model, value)), ours, max_steps=9)
    assert saved(tmp_path) == {"best.ckpt": 4, "last.ckpt": 4, "update_000004-fid_digits_9.ckpt": 4}
    assert (ours.best_score, ours.best_file) == (9.0, "update_000004-fid_digits_9.ckpt")
    assert len([one for one in said if "Nothing is saved" in str(one.message)]) == 1


def test_neither_does_one_that_is_interrupted(tiny: Make, tmp_path: Path) -> None:
    for name, error, left in (("a", KeyboardInterrupt(), SystemExit), ("b", RuntimeError("no"), RuntimeError)):
        model = tiny()
        interrupt(model, 5, error)
        with pytest.raises(left), pytest.warns(UserWarning, match="Nothing is saved from update 5 on"):
            run(model, tmp_path / name, At(5, spoil(model)), Checkpoints(every=2), max_steps=9)
        assert saved(tmp_path / name) == {"last.ckpt": 4, "update_000002.ckpt": 2, "update_000004.ckpt": 4}


def test_the_next_fit_is_saved_again(tiny: Make, tmp_path: Path) -> None:
    ours, model = Checkpoints(every=2), tiny()
    with pytest.warns(UserWarning, match="Nothing is saved from update 2 on"):
        run(model, tmp_path / "a", At(2, spoil(model)), ours, max_steps=2)
    run(tiny(), tmp_path / "b", ours, max_steps=2)
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert saved(tmp_path / "b") == {"last.ckpt": 2, "update_000002.ckpt": 2}


# Interruptions


def interrupt(model: DCGAN, batch: int, error: BaseException) -> DCGAN:
    """Lets the generator's turn of one batch fail, when the discriminator has moved."""
    loss = model.generator_loss

    def generator_loss(*args: Any) -> Tensor:
        if model.batches_seen == batch:
            raise error
        return loss(*args)

    model.generator_loss = generator_loss
    return model


@pytest.mark.parametrize(("error", "raised"), [(KeyboardInterrupt(), SystemExit), (RuntimeError("no"), RuntimeError)])
def test_within_a_batch_last_stays_and_the_torn_state_is_kept_beside(
    tiny: Make, tmp_path: Path, error: BaseException, raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    model = interrupt(tiny(), 5, error)
    with pytest.raises(raised), caplog.at_level("INFO"):
        run(model, tmp_path, Checkpoints(every=2), max_steps=9)
    assert saved(tmp_path) == {"interrupted.ckpt": 5, "last.ckpt": 4, "update_000002.ckpt": 2, "update_000004.ckpt": 4}
    assert "Stopped within a batch at update 5: see " in caplog.text
    torn = checkpoint.read(tmp_path / "checkpoints/interrupted.ckpt")
    assert states_equal(torn["state_dict"], model.state_dict())
    assert torn["game"]["turns_taken"] == {"discriminator": 6, "generator": 5}
    runner = run(tiny(), tmp_path, max_steps=9, ckpt_path=tmp_path / "checkpoints/interrupted.ckpt")
    assert runner.global_step == 9


def test_nothing_is_written_where_nothing_was_trained(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no"):
        run(interrupt(tiny(), 0, RuntimeError("no")), tmp_path / "a", Checkpoints(every=2), max_steps=9)
    with pytest.raises(RuntimeError, match="no"):
        run(interrupt(tiny(), 4, RuntimeError("no")), tmp_path / "b", Checkpoints(every=2), max_steps=9)
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert saved(tmp_path / "b") == {"last.ckpt": 4, "update_000002.ckpt": 2, "update_000004.ckpt": 4}


class BadData(list[Any]):
    """Fails when the sixth batch is fetched."""

    def __getitem__(self, index: Any) -> Any:
        if index >= 5 * BATCH:
            raise OSError("the disk is gone")
        return super().__getitem__(index)


def test_between_batches_last_is_brought_up_to_date(tiny: Make, tmp_path: Path) -> None:
    model = tiny()
    runner = trainer(
        default_root_dir=tmp_path, enable_checkpointing=True, callbacks=[Checkpoints(every=3)], max_steps=9
    )
    with pytest.raises(OSError, match="the disk is gone"):
        runner.fit(model, DataLoader(BadData(SAME * 2), BATCH))
    steps = saved(tmp_path)
    assert steps == {"last.ckpt": model.turns_taken["generator"], "update_000003.ckpt": 3}
    assert steps["last.ckpt"] in (4, 5)  # Lightning fetches a batch ahead
    assert states_equal(checkpoint.read(tmp_path / "checkpoints/last.ckpt")["state_dict"], model.state_dict())


@pytest.mark.parametrize(("n_critic", "stop"), [(1, 3), (1, 5), (3, 4), (3, 10)])
def test_after_sigterm_a_run_goes_on_bit_for_bit(tiny: Make, tmp_path: Path, n_critic: int, stop: int) -> None:
    steps = 12 // n_critic
    straight, ema, again = tiny(n_critic=n_critic), EMA(100), EMA(100)
    run(straight, tmp_path / "straight", ema, Checkpoints(every=100), max_steps=steps)
    stopped, term = tiny(n_critic=n_critic), At(stop, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        run(stopped, tmp_path / "stopped", EMA(100), term, Checkpoints(every=100), max_steps=steps)
    assert saved(tmp_path / "stopped") == {"last.ckpt": stop // n_critic}
    last = tmp_path / "stopped/checkpoints/last.ckpt"
    assert checkpoint.read(last)["game"]["batches_seen"] == stop
    resumed = tiny(n_critic=n_critic)
    run(resumed, tmp_path / "stopped", again, Checkpoints(every=100), max_steps=steps, ckpt_path=last)
    assert states_equal(straight.state_dict(), resumed.state_dict())
    assert states_equal(ema.averages["generator"].state_dict(), again.averages["generator"].state_dict())
    one, other = (checkpoint.read(tmp_path / part / "checkpoints/last.ckpt") for part in ("straight", "stopped"))
    for ours, theirs in zip(one["optimizer_states"], other["optimizer_states"], strict=True):
        for index, moments in ours["state"].items():
            assert states_equal(moments, theirs["state"][index])


def test_a_write_that_fails_leaves_the_last_one_and_the_first_error(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    fill = At(3, lambda: monkeypatch.setattr(torch, "save", full))
    with pytest.raises(OSError, match="No space"), pytest.warns(UserWarning, match=r"last\.ckpt could not be written"):
        run(tiny(), tmp_path, fill, Checkpoints(every=2), max_steps=9)
    assert saved(tmp_path) == {"last.ckpt": 2, "update_000002.ckpt": 2}


def stop(folder: Path, kills: int) -> dict[str, Any]:
    """What the script of stopped trainings prints."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.callbacks.stopped", str(folder), str(kills)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    printed: dict[str, Any] = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return printed


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of one run of that script, and what it printed."""
    folder = tmp_path_factory.mktemp("stopped")
    return folder, stop(folder, 5)


def check_kills(printed: dict[str, Any], kills: int) -> None:
    steps = printed["steps"]
    assert len(steps) == kills
    assert all(later > sooner for sooner, later in pairwise([0, *steps]))
    assert printed["files"] <= 4  # a kill before the pruning leaves one more than keep and last


def test_killed_at_any_moment_the_last_checkpoint_is_whole(stopped: tuple[Path, dict[str, Any]]) -> None:
    check_kills(stopped[1]["kill"], 5)


@pytest.mark.slow
def test_killed_at_twenty_moments_the_last_checkpoint_is_whole(tmp_path: Path) -> None:
    printed = stop(tmp_path, 20)["kill"]
    check_kills(printed, 20)
    assert printed["halves"] > 0  # some kills came while a file was being written


def test_sigterm_ends_a_run_with_a_checkpoint(stopped: tuple[Path, dict[str, Any]]) -> None:
    assert stopped[1]["sigterm"] == 3  # by SystemExit
    assert list(saved(stopped[0] / "sigterm")) == ["last.ckpt"]
    state = checkpoint.read(stopped[0] / "sigterm/checkpoints/last.ckpt")
    assert state["game"]["batches_seen"] >= 10
    assert state["global_step"] == state["game"]["batches_seen"] // 2


def test_two_processes_keep_one_average_and_one_set_of_files(stopped: tuple[Path, dict[str, Any]]) -> None:
    folder = stopped[0] / "ranks"
    first, second = (torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert states_equal(first["average"], second["average"])
    assert states_equal(first["raw"], second["raw"])
    assert not states_equal(first["raw"], first["average"])
    assert first["files"] == second["files"] == ["last.ckpt", "update_000005.ckpt"]
    assert saved(folder) == {"last.ckpt": 7, "update_000005.ckpt": 5}
    assert states_equal(checkpoint.read(folder / "checkpoints/last.ckpt")["ema"]["generator"], first["average"])
    drawn = [f"step_{step:06d}.png" for step in (1, 5, 7)]
    assert sorted(path.name for path in (folder / "samples").glob("*.png")) == drawn


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"keep": 0}, "keep must be at least 1, got 0"),
        ({"mode": "low"}, "mode must be 'min' or 'max', got 'low'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Checkpoints(**options)


def test_all_callbacks_together_load_without_pickles(tiny: Make, tmp_path: Path) -> None:
    callbacks = [EMA(), SampleGrid(every=2), Scores({2: 1.0}), Checkpoints(every=2, monitor="fid/digits")]
    run(tiny(num_classes=10), tmp_path, *callbacks, max_steps=3)
    assert all(torch.load(path, weights_only=True) for path in (tmp_path / "checkpoints").iterdir())
    assert len(saved(tmp_path)) == 3
