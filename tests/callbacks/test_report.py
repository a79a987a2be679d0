import json
import os
import re
import signal
import warnings

import pytest
from lightning.pytorch import Callback

from lit_gans import compose
from lit_gans.callbacks.csv import CSVRun
from lit_gans.callbacks.report import Report
from lit_gans.mixins import R1Penalty
from lit_gans.models import DCGAN
from tests.callbacks.html_page import Page
from tests.conftest import TINY, fit, images


def run(folder, model=None, callbacks=(), **options):
    report = Report(command="python train.py model=dcgan 'a=<b>'")
    logger = CSVRun(str(folder))
    model = model or DCGAN(**TINY)
    return fit(
        model,
        images(64),
        **{"callbacks": [*callbacks, report], "logger": logger, "max_steps": 4, "log_every_n_steps": 1, **options},
        default_root_dir=folder,
    )


def test_a_report_at_the_end(tmp_path):
    model = compose(DCGAN, R1Penalty)(**TINY, discriminator_norm="none", r1_gamma=5.0)
    run(tmp_path, model)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.text("h1") == "DCGAN"
    assert "R1Penalty" in page.text("span")
    assert "Finished after 4 updates" in page.text("p")
    assert "python train.py model=dcgan 'a=<b>'" in page.text("pre")
    assert "r1_gamma: 5.0" in page.text("pre")
    known = json.loads(page.text("script").split('"use strict"')[0])
    assert [step for step, _ in known["lines"]["loss/generator"]] == [1, 2, 3, 4]
    assert re.search(r"lit-gans \d.* lightning \d.* torch \d.* Python \d.* cpu, 32-true", page.text("span"))


class Stop(Callback):
    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step == 2


def test_a_report_of_a_run_that_stopped_early(tmp_path):
    run(tmp_path, callbacks=[Stop()])
    assert "Stopped early after 2 updates" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text("p")


def test_the_configuration_is_the_runs_own(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 3  # <chosen>\n", encoding="utf-8")
    run(tmp_path)
    assert "seed: 3  # <chosen>" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text("pre")


class Raise(Callback):
    def __init__(self, act):
        self.act = act

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 2:
            self.act()


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise ZeroDivisionError("a < b")


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (interrupt, SystemExit, "Interrupted after 2 updates"),
        (terminate, SystemExit, "Interrupted after"),
        (fail, ZeroDivisionError, "Failed with ZeroDivisionError after 2 updates"),
    ],
)
def test_a_report_of_a_run_that_did_not_come_to_its_end(tmp_path, act, error, words):
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(error):
            run(tmp_path, callbacks=[Raise(act)])
    finally:
        signal.signal(signal.SIGINT, before)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert words in page.text("p")
    assert "loss/generator" in page.text("script")


def test_a_run_that_never_began_has_no_report(tmp_path):
    with pytest.raises(ValueError, match="accumulate_grad_batches"):
        run(tmp_path, accumulate_grad_batches=2)
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_fails_is_a_warning(tmp_path):
    (tmp_path / "reals.png").write_bytes(b"x" * 6_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.warns(UserWarning, match=r"report\.html could not be written \(UnidentifiedImageError"):
            runner = run(tmp_path)
    assert runner.global_step == 4
    assert not (tmp_path / "report.html").exists()


def test_the_command_is_this_processs_own_if_none_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "tricks=[r1]", "data.path=my cats"])
    fit(DCGAN(**TINY), images(16), callbacks=[Report()], max_steps=1, default_root_dir=tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "python train.py 'tricks=[r1]' 'data.path=my cats'" in page.text("pre")
