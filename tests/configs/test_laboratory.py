"""Runs on points, as the command line makes them."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_module

from lit_gans.callbacks.modes import PointJudge
from lit_gans.configs import build
from lit_gans.configs.arguments import options
from lit_gans.configs.check import checked
from lit_gans.data.points import PointDataModule

FOLDER = Path(__file__).parents[2] / "configs"
POINTS = ("rings", "grid", "dirac")
MAKERS = ("mlp_gan", "unrolled")


@pytest.mark.parametrize(("model", "data"), list(product(MAKERS, POINTS)))
def test_the_best_checkpoint_is_chosen_by_a_score_that_points_have(model: str, data: str) -> None:
    """FID and KID are of images: with them as the monitor there would be no best checkpoint."""
    with initialize_config_module("lit_gans.configs", version_base="1.3"):
        config: Any = checked(compose("train", [f"model={model}", f"data={data}", "data.num_samples=1000"]))
    source = build.data(config)
    assert isinstance(source, PointDataModule)
    source.setup("fit")
    published = PointJudge(source, 10).score(source.train_dataset.images(torch.arange(10)))
    group, _, name = config["callbacks"]["checkpoints"]["monitor"].partition("/")
    assert group == "modes"
    assert name in published


def test_no_model_that_makes_points_is_left_out() -> None:
    makers = {
        name for name in options("model", [FOLDER]) if "sample_shape" in (FOLDER / f"model/{name}.yaml").read_text()
    }
    assert makers == set(MAKERS)
