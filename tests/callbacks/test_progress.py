import io
import math
import os
import pty
import re
import sys
import threading
import time
from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch import Callback
from rich.console import Console
from torch.utils.data import DataLoader

from lit_gans.callbacks.progress import Progress, Status, clock, values_of
from lit_gans.models import StackGAN
from tests.conftest import images, trainer
from tests.mixins.test_tricks import SMALL

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Scores(Callback):
    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == 2:
            model.publish({"fid/digits": 12.5})


def train(model, bar, **options):
    runner = trainer(**{"enable_progress_bar": True, "log_every_n_steps": 1, "callbacks": [Scores(), bar], **options})
    runner.fit(model, DataLoader(images(64), 8))
    return runner


def test_lightning_adds_no_bar_of_its_own():
    bar = Progress()
    assert trainer(enable_progress_bar=True, callbacks=[bar]).progress_bar_callback is bar


def test_lines_in_a_pipe(tiny, capsys):
    train(tiny(n_critic=2), Progress(every=1e-9), max_steps=6)
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("update ")]
    assert "\r" not in out
    assert "\x1b" not in out
    assert len(lines) == 12 + 1  # n_critic=2: a batch is half an update; and the last word
    number = r"[\d.e+-]+"
    assert re.fullmatch(
        rf"update 6/6  loss/discriminator {number}  loss/generator {number}  fid/digits 12\.5  [\d,]+ img/s  in 0:0\d",
        lines[-1],
    )
    assert re.search(r"  [\d,]+ img/s  0:0\d left$", lines[-2])
    assert not any("left" in line for line in lines[:9])  # the first updates are slower than the others


def test_few_lines_when_little_time_has_passed(tiny, capsys):
    train(tiny(), Progress(every=60), max_steps=8)
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith("update ")]) == 2


@pytest.mark.parametrize(
    ("options", "n_critic", "total"),
    [
        ({"max_steps": 5}, 1, 5),
        ({"max_epochs": 3}, 2, 12),
        ({"max_epochs": 3}, 3, 8),
        ({"max_steps": 5, "max_epochs": 3}, 1, 5),
        ({"max_steps": 50, "max_epochs": 2}, 1, 16),
    ],
)
def test_the_total_is_the_number_of_updates_at_the_end(tiny, capsys, options, n_critic, total):
    bar = Progress()
    runner = train(tiny(n_critic=n_critic), bar, **{"max_epochs": None, **options})
    assert bar.total == total == runner.global_step
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"update {total}/{total} ")


class StopAt(Callback):
    def __init__(self, step, error=None):
        self.step, self.error = step, error

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.should_stop = True
            if self.error is not None:
                raise self.error


def test_a_run_without_an_end(tiny, capsys):
    bar = Progress(every=1e-9)
    train(tiny(), bar, max_steps=-1, max_epochs=-1, callbacks=[StopAt(3), bar])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("update 3  loss/")
    assert not any("left" in line or "/-1" in line for line in lines)


def test_the_last_word_comes_after_an_error_too(tiny, capsys):
    bar = Progress(every=60)
    with pytest.raises(RuntimeError, match="boom"):
        train(tiny(), bar, max_steps=9, callbacks=[StopAt(2, RuntimeError("boom")), bar])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("update ")]
    assert len(lines) == 2
    assert lines[-1].startswith("update 2/9 ")
    assert " in 0:0" in lines[-1]
    assert bar.live is None


def in_a_terminal(monkeypatch, columns, run):
    """What is written to a terminal so wide."""
    master, slave = pty.openpty()
    for name, value in {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    seen = []

    def read():
        while chunk := os.read(master, 65536):
            seen.append(chunk)
            if b"END OF TEST" in chunk:
                return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        try:
            run()
        finally:
            terminal.write("END OF TEST\n")
            terminal.flush()
            reader.join()
    os.close(master)
    return b"".join(seen).decode().replace("END OF TEST\r\n", "")


@pytest.mark.parametrize("columns", [60, 100])
def test_a_bar_in_a_terminal(tiny, monkeypatch, columns):
    bar = Progress(refresh=1e-9)
    out = in_a_terminal(monkeypatch, columns, lambda: train(tiny(), bar, max_steps=4))
    lines = [ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", out)]
    assert max(map(len, lines)) <= columns
    assert any(re.fullmatch(r"━+ *4/4  [\d,]+ img/s  in 0:0\d *", line) for line in lines)
    assert any("loss/discriminator" in line for line in lines)
    assert any(line.rstrip().endswith("fid/digits 12.5") for line in lines)
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h") == 1  # the cursor is hidden, and shown again
    assert bar.live is None


def test_the_terminal_is_left_whole_by_an_error(tiny, monkeypatch):
    bar = Progress()

    def run():
        with pytest.raises(KeyError, match="boom"):
            train(tiny(), bar, max_steps=9, callbacks=[StopAt(2, KeyError("boom")), bar])

    out = in_a_terminal(monkeypatch, 60, run)
    assert out.count("\x1b[?25h") == 1
    assert bar.live is None


def test_the_bar_is_drawn_seldom(tiny, monkeypatch):
    bar = Progress(refresh=60)
    out = in_a_terminal(monkeypatch, 80, lambda: train(tiny(), bar, max_steps=8))
    assert out.count("img/s") <= 3  # after the first update, and at the end, where rich draws twice


@pytest.mark.parametrize("width", [40, 60, 200])
def test_no_name_is_parted_from_its_value(width):
    values = ["loss/discriminator 0.6931", "loss/generator 1.204", "fid/digits 12.3", "kid/digits 0.0123"]
    status = Status(step=1200, total=50_000, rate=1234.5, clock="1:02:03 left", values=values)
    console = Console(file=io.StringIO(), width=width)
    console.print(status.picture(width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "1,200/50,000  1,234 img/s  1:02:03 left" in lines[0]
    for value in values:
        assert sum(value in line for line in lines) == 1


def test_losses_first_penalties_last_and_only_those_that_are():
    metrics = {"penalty/discriminator": 0.5, "fid/digits": 3.14159, "loss/generator": 1.0, "penalty/generator": 0.0}
    metrics = {name: torch.tensor(value) for name, value in metrics.items()}
    assert values_of({**metrics, "images_seen": 64, "kid/digits": math.nan, "watch/diversity": 0.5}) == [
        "loss/generator 1",
        "fid/digits 3.142",
        "kid/digits nan",
        "penalty/discriminator 0.5",
    ]


def test_numbers_of_several_games_come_in_the_same_order():
    names = ("stage2/penalty/generator", "fid/digits", "stage2/loss/generator")
    metrics = {name: torch.tensor(2.0) for name in names}
    metrics["stage2/penalty/discriminator"] = torch.tensor(0.0)
    assert values_of(metrics) == ["stage2/loss/generator 2", "fid/digits 2", "stage2/penalty/generator 2"]


def test_the_time_left_is_that_of_the_stage_that_learns(monkeypatch, capsys):
    """Updates of Stage-I take a second, those of Stage-II ten."""

    class Slow(Callback):
        def on_train_batch_end(self, trainer, model, *_):
            seconds.append(1 if model.stage2.turns_taken["generator"] == 0 else 10)

    seconds = [0]
    monkeypatch.setattr("lit_gans.callbacks.progress.time.monotonic", lambda: sum(seconds))
    model = StackGAN(**{**SMALL["stackgan"], "stage_steps": [8, 8]})
    bar = Progress(every=1e-9)
    train(model, bar, max_steps=16, callbacks=[Slow(), bar])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("update ")]
    assert re.findall(r"\S+ left", lines[6]) == ["0:09 left"]
    assert re.findall(r"\S+ left", lines[14]) == ["0:10 left"]
    assert [("stage1" in line, "stage2" in line) for line in (lines[6], lines[14])] == [(True, False), (False, True)]
    assert lines[-1].endswith(" in 1:28")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (6.6, "0:07"), (754, "12:34"), (59.6, "1:00"), (3723, "1:02:03"), (2 * 86400 + 11040, "2 d 03:04")],
)
def test_durations(seconds, text):
    assert clock(seconds) == text


def test_other_processes_are_silent(capsys):
    bar = Progress(every=1e-9)
    bar.setup(SimpleNamespace(is_global_zero=False), None, "fit")
    bar.on_train_start(SimpleNamespace(), SimpleNamespace())
    bar.on_train_batch_end(SimpleNamespace(), SimpleNamespace(), None, None, 0)
    bar.on_fit_end(SimpleNamespace(), SimpleNamespace())
    assert capsys.readouterr().out == ""


def test_testing_and_validating_show_nothing(tiny, capsys):
    class Validated(lightning.LightningModule):
        def validation_step(self, batch, batch_idx):
            pass

    runner = trainer(enable_progress_bar=True, callbacks=[Progress()])
    runner.validate(Validated(), DataLoader(images(8), 8), verbose=False)
    assert capsys.readouterr().out == ""


def test_a_batch_costs_next_to_nothing():
    bar = Progress()
    bar.due_at = time.monotonic() + 1000
    times = []
    for _ in range(50):
        start = time.perf_counter()
        for index in range(100):
            bar.on_train_batch_end(None, None, None, None, index)
        times.append((time.perf_counter() - start) / 100)
    assert sorted(times)[25] < 20e-6


@pytest.mark.parametrize("option", ["every", "refresh"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan])
def test_times_are_checked(option, value):
    with pytest.raises(ValueError, match=f"{option} must be above 0 seconds, got {value}"):
        Progress(**{option: value})
