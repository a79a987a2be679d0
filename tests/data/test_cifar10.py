"""CIFAR-10 as torchvision reads it, with torchvision's part played by a small one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lit_gans.data import CIFAR10

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


class Torchvisions:
    """What torchvision's data set has."""

    calls: list[tuple[str, bool, bool]]

    def __init__(self, root: str, train: bool, download: bool) -> None:
        self.calls.append((root, train, download))
        self.data, self.targets = PIXELS, [i % 10 for i in range(20)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    Torchvisions.calls = []
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Torchvisions)
    return Torchvisions.calls


def made(root: Path, **options: Any) -> CIFAR10:
    data = CIFAR10(root=str(root), batch_size=4, **options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_pixels_and_labels(tmp_path: Path, calls: list[Any]) -> None:
    data = made(tmp_path)
    batch = data.train_dataset.__getitems__([3, 11])
    assert batch["image"].permute(0, 2, 3, 1).tolist() == PIXELS[[3, 11]].tolist()
    assert batch["label"].tolist() == [3, 1]
    assert batch["label"].dtype == torch.int64
    assert data.describe().startswith("CIFAR10: 20 RGB images of 32x32 pixels, 10 classes (airplane, automobile, bird,")
    assert calls == [(str(tmp_path), True, False)]


def test_other_sizes_and_grey(tmp_path: Path, calls: list[Any]) -> None:
    assert made(tmp_path, image_size=64).train_dataset[0]["image"].shape == (3, 64, 64)
    grey = made(tmp_path, image_channels=1).train_dataset[0]["image"].float().mean().item()
    assert grey == pytest.approx((PIXELS[0] @ np.array([0.299, 0.587, 0.114])).mean(), abs=0.5)


def test_a_download_is_asked_for_once_and_before_the_files_are_read(tmp_path: Path, calls: list[Any]) -> None:
    made(tmp_path, download=True)
    assert [download for _, _, download in calls] == [True, False]


def test_missing_files_are_asked_for_by_name_and_place(tmp_path: Path) -> None:
    sentence = r"CIFAR-10 is not in .*, or not whole. data.download=true fetches cifar-10-python.tar.gz and unpacks it"
    with pytest.raises(FileNotFoundError, match=sentence):
        made(tmp_path)


def test_a_download_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", fail)
    with pytest.raises(FileNotFoundError, match=r"CIFAR-10 cannot be fetched \(no route to host\)\. data.down"):
        made(tmp_path, download=True)
