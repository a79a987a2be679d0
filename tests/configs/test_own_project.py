"""A model of another project, by both ways; tests/installed_wheel.py does the same with an installed wheel."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from lit_gans import load
from lit_gans.configs.main import train
from tests.configs.conftest import Cli, tiny
from tests.installed_wheel import CHECKS, make_project


@pytest.fixture
def project(workplace: Path) -> Iterator[Path]:
    make_project(workplace)
    yield workplace
    sys.modules.pop("mine", None)


def test_a_folder_of_options_besides_ours(cli: Cli, project: Path) -> None:
    outcome = cli(*tiny("--config-dir", "options", "model=mine", "callbacks=checkpoints", "hydra.run.dir=first"))
    assert outcome.code == 0, outcome.err
    model = load("first/checkpoints/last.ckpt")
    assert type(model).__name__ == "Mine"
    assert model.sharpness == 2.0
    assert model.sample(3).shape == (3, 1, 16, 16)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("model.sharpnes=3", "There is no option model.sharpnes. Did you mean model.sharpness?"),
        ("model.sharpness=very", "model.sharpness: expected a number, got 'very'."),
        ("+model.sharp_edge=1", "model.sharp_edge is not an option of Mine. Did you mean sharpness?"),
        ("model=mien", "There is no model called 'mien'. Did you mean mine? Possible: dcgan"),
    ],
)
def test_its_options_are_checked_like_ours(cli: Cli, project: Path, option: str, sentence: str) -> None:
    choice = () if option.startswith("model=") else ("model=mine",)
    outcome = cli("--config-dir", "options", *choice, option)
    assert outcome.code == 2
    assert outcome.err.startswith(sentence)


def test_a_configuration_of_the_projects_own_on_ours(project: Path) -> None:
    with initialize_config_dir(str(project / "options"), version_base="1.3"):
        cfg = compose("own", ["run_dir=second", *tiny(leave_out=("model.width", "logger", "callbacks"))])
    assert cfg.model.sharpness == 2.0
    published = train(cfg)
    assert isinstance(published, dict)
    assert type(load("second/checkpoints/last.ckpt")).__name__ == "Mine"
    assert Path("second/config.yaml").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_both_in_processes_of_their_own(check: Callable[[str, Path], None], tmp_path: Path) -> None:
    make_project(tmp_path)
    check(sys.executable, tmp_path)
