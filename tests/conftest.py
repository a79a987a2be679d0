"""Small models and data that every test can make."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers share the cores

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from lit_gans import Sampler
from lit_gans.models import DCGAN

TINY = {"image_size": 16, "image_channels": 1, "width": 4, "latent_dim": 8}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has all tests that share a module's fixture: several processes of training are not started twice."""
    for item in items:
        definitions = item._fixtureinfo.name2fixturedefs.values()
        if any(fixture.scope == "module" for several in definitions for fixture in several):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="lightning")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command configures the loggers of the process that runs it, here those of all later tests."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = [(log.level, log.disabled, log.propagate, log.handlers[:], log.filters[:]) for log in loggers]
    yield
    for log, (level, disabled, propagate, handlers, filters) in zip(loggers, before, strict=True):
        log.setLevel(level)
        log.disabled, log.propagate, log.handlers, log.filters = disabled, propagate, handlers, filters


def images(n: int, seed: int = 0, size: int = 16) -> list[dict[str, torch.Tensor]]:
    """A data set of n random grey images with labels 0..9."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 1, size, size), dtype=torch.uint8, generator=generator)
    return [{"image": pixels[i], "label": torch.tensor(i % 10)} for i in range(n)]


def trainer(**options: Any) -> lightning.Trainer:
    """A quiet trainer on the CPU."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return lightning.Trainer(
        **{"accelerator": "cpu", **quiet, "enable_model_summary": False, "max_epochs": -1, **options}
    )


def fit(model: Sampler, data: Sequence[Any], batch_size: int = 8, **options: Any) -> lightning.Trainer:
    """Trains on the data in its order."""
    runner = trainer(**options)
    runner.fit(model, DataLoader(data, batch_size, drop_last=True))
    return runner


@pytest.fixture
def tiny() -> Callable[..., DCGAN]:
    """Makes a DCGAN for 16-pixel grey images, with other options on demand."""
    return lambda **options: DCGAN(**{**TINY, **options})
