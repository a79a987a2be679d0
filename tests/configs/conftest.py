"""The command line, run in this process."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lit_gans.configs.main import main

TINY = {
    "experiment/tuned": "none",
    "model.width": "4",
    "data.image_size": "16",
    "data.batch_size": "8",
    "trainer.accelerator": "cpu",
    "trainer.max_steps": "2",
    "logger": "csv",
    "callbacks": "none",
}


@dataclass
class Outcome:
    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in; what a run leaves in the environment is taken back."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def cli(workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line in an empty folder; ``tiny()`` adds options that make a run short."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    monkeypatch.delenv("DEBUG", raising=False)

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(list(arguments))
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


def tiny(*arguments: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    """The arguments, and every option of a short run that they do not give themselves."""
    given = {argument.partition("=")[0].lstrip("+") for argument in arguments}
    return [*(f"{key}={value}" for key, value in TINY.items() if key not in {*given, *leave_out}), *arguments]


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small WGAN-GP for the digits."""
    from lit_gans.models import WGANGP
    from tests.conftest import fit, images

    model = WGANGP(image_size=16, image_channels=1, width=4, latent_dim=8, n_critic=1)
    path = tmp_path_factory.mktemp("other") / "other.ckpt"
    fit(model, images(8), max_steps=1).save_checkpoint(path)
    return path
