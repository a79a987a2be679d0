"""Mixtures in the plane: where the modes are, how wide, how likely."""

import math
from typing import Any

import pytest
import torch

from lit_gans.data import Grid, Rings
from lit_gans.data.points import PointDataModule


def made(cls: type[PointDataModule], **options: Any) -> PointDataModule:
    data = cls(**options)
    data.setup("fit")
    return data


def test_the_centres_divide_the_circle() -> None:
    for modes, radius in [(8, 2.0), (7, 0.5), (1, 1.0)]:
        expected = [
            [radius * math.cos(2 * math.pi * i / modes), radius * math.sin(2 * math.pi * i / modes)]
            for i in range(modes)
        ]
        assert torch.allclose(Rings(modes=modes, radius=radius).centres, torch.tensor(expected), atol=1e-6)
    # An angle from 0 to 2 pi with both ends would put two modes in one place.
    assert torch.pdist(Rings().centres).min().item() == pytest.approx(4 * math.sin(math.pi / 8), rel=1e-5)


def test_the_grid_is_centred() -> None:
    centres = {tuple(point) for point in Grid().centres.tolist()}
    assert centres == {(x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)}
    assert {tuple(p) for p in Grid(side=2, spacing=1.0).centres.tolist()} == {
        (x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)
    }


@pytest.mark.parametrize(("cls", "std", "modes"), [(Rings, 0.02, 8), (Grid, 0.05, 25)])
def test_points_lie_around_the_mode_that_their_label_says(cls: type[PointDataModule], std: float, modes: int) -> None:
    data = made(cls)
    batch = data.train_dataset.__getitems__(range(100_000))
    assert (batch["image"].dtype, batch["image"].shape) == (torch.float32, (100_000, 2))
    assert batch["label"].dtype == torch.int64
    offsets = batch["image"] - data.centres[batch["label"]]
    assert (data.num_classes, data.shape, data.std) == (modes, (2,), std)
    for axis in range(2):
        assert offsets[:, axis].std().item() == pytest.approx(std, rel=0.01)
        assert offsets[:, axis].mean().item() == pytest.approx(0, abs=std / 50)
    assert offsets.norm(dim=1).max() < 6 * std
    shares = torch.bincount(batch["label"]) / 100_000
    assert (shares - 1 / modes).abs().max() < 0.005


def test_points_depend_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    first = made(Rings, seed=3, num_samples=100)
    torch.manual_seed(1)
    assert first.content_hash() == made(Rings, seed=3, num_samples=100).content_hash()
    assert first.content_hash() != made(Rings, seed=4, num_samples=100).content_hash()


def test_what_is_told() -> None:
    assert made(Rings).describe() == "Rings: 100,000 points in the plane around 8 modes with standard deviation 0.02."
    assert Rings(modes=4, radius=1.0).class_names[0] == "(1, 0)"


@pytest.mark.parametrize(
    ("cls", "options", "sentence"),
    [
        (Rings, {"modes": 0}, r"data.modes must be at least 1, got 0\."),
        (Grid, {"side": 0}, r"data.side must be at least 1, got 0\."),
        (Rings, {"std": -1.0}, r"data.std must be at least 0, got -1\.0\."),
        (Grid, {"num_samples": 0}, r"data.num_samples must be at least 1, got 0\."),
    ],
)
def test_options_out_of_range_are_refused(cls: type[PointDataModule], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        cls(**options)
