"""Which run `ckpt_path=last` goes on with; no training is needed for that."""

import os
from pathlib import Path

import pytest

from lit_gans.configs.arguments import read
from lit_gans.configs.errors import Refusal
from lit_gans.configs.resume import changes, last_run, wants_last

DCGAN, WGANGP = "lit_gans.models.DCGAN", "lit_gans.models.WGANGP"


def run(folder: str, model: str, time: int, tricks: str = "{}", data: str = "{_target_: lit_gans.data.Digits}") -> None:
    path = Path("runs", folder, "checkpoints", "last.ckpt")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    os.utime(path, (time, time))
    text = f"model: {{_target_: {model}, width: 4}}\ntricks: {tricks}\ndata: {data}\n"
    (path.parents[1] / "config.yaml").write_text(text)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (["ckpt_path=last"], True),
        (["ckpt_path=last", "hydra.run.dir=here"], False),
        (["ckpt_path=runs/a.ckpt"], False),
        ([], False),
    ],
)
def test_when_a_run_is_looked_for(line: list[str], wanted: bool) -> None:
    assert wants_last(read(line)) is wanted


def test_the_newest_run_of_the_model_and_its_tricks_on_the_data_is_taken(workplace: Path) -> None:
    run("a/1", DCGAN, time=100)
    run("a/2", DCGAN, time=200)
    run("b/1", WGANGP, time=300)
    run("sweeps/x/0", DCGAN, time=400, tricks="{r1: {_target_: lit_gans.mixins.R1Penalty, r1_gamma: 3.0}}")
    run("c/1", DCGAN, time=500, data="{_target_: lit_gans.data.Folder, path: pictures}")
    Path("runs/d").mkdir()

    def found(*more: str) -> Path:
        return last_run(read(["ckpt_path=last", "experiment/tuned=none", *more]))

    assert found() == Path("runs/a/2")
    assert found("model.width=9") == Path("runs/a/2")
    assert found("model=wgan_gp") == Path("runs/b/1")
    assert found("tricks=[r1]") == Path("runs/sweeps/x/0")
    assert found("data=folder", "data.path=pictures") == Path("runs/c/1")
    with pytest.raises(Refusal, match=r"found no run of model=dcgan data=folder with these tricks"):
        found("data=folder", "data.path=others")


def test_half_a_run_is_none(workplace: Path) -> None:
    run("a/1", DCGAN, time=100)
    (workplace / "runs/a/1/config.yaml").write_text("model: [")
    with pytest.raises(Refusal, match="found no run"):
        last_run(read(["ckpt_path=last"]))


def test_several_runs_do_not_go_on_with_one(workplace: Path) -> None:
    with pytest.raises(Refusal, match=r"-m starts several: leave one of them out"):
        last_run(read(["-m", "ckpt_path=last", "seed=1,2"]))


def test_what_is_different_from_before_is_named() -> None:
    before = {"seed": 0, "run_dir": "a", "model": {"lr": 1e-4, "betas": [0.0, 0.9]}, "old": 1}
    now = {"seed": 1, "run_dir": "b", "model": {"lr": 0.0001, "betas": [0.0, 0.9]}, "new": None}
    assert list(changes(before, now)) == ["old 1 -> None", "seed 0 -> 1"]
    assert list(changes(None, now)) == []
