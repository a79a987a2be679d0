"""Each data set's YAML holds every option of its class and makes it."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from lit_gans.data import DataModule

FILES = sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml"))


def options_of(cls: type) -> dict[str, Any]:
    """Name and default of every keyword that a class takes, its bases' included; a subclass's default counts."""
    options: dict[str, Any] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(DataModule) + 1]):
        parameters = inspect.signature(base.__init__).parameters.values()
        options |= {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
    return options


def test_all_data_sets_are_there() -> None:
    assert {path.stem for path in FILES} >= {"digits", "mnist", "fashion_mnist", "cifar10", "folder", "rings", "grid"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_option_stands_in_the_yaml_with_its_default(path: Path) -> None:
    config = OmegaConf.create({"seed": 0, "data": OmegaConf.load(path)}).data
    written = {
        name: value for name, value in OmegaConf.to_container(config, resolve=True).items() if name != "_target_"
    }
    assert written == options_of(get_class(config._target_))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_yaml_makes_the_data_module(path: Path) -> None:
    data = instantiate(OmegaConf.create({"seed": 5, "data": OmegaConf.load(path)}).data)
    assert isinstance(data, DataModule)
    assert (data.batch_size, data.num_workers, data.seed) == (64, None, 5)
