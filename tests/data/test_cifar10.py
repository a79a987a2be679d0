"""CIFAR-10 as torchvision reads it, with torchvision's part played by a small one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lit_gans.data import CIFAR10
from lit_gans.data.samples import Corners, InMemory

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


# Corners


@pytest.mark.parametrize("size", [1, 28, 31, 32])
def test_corners_are_the_four_crops_of_each_image(size: int) -> None:
    """All top left ones, then all top right, bottom left, bottom right; labels go with them."""
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    labels, room = torch.tensor([7, 8, 9]), 32 - size
    corners = Corners(images, labels, size)
    places = [(0, 0), (0, room), (room, 0), (room, room)]
    crops = torch.cat([images[:, :, top : top + size, left : left + size] for top, left in places])
    assert len(corners) == 12
    batch = corners.__getitems__(range(12))
    assert torch.equal(batch["image"], crops)
    assert torch.equal(batch["label"], labels.repeat(4))
    assert torch.equal(corners[5]["image"], crops[5])


def test_corners_of_other_sizes_are_other_data() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    hashes = {Corners(images, None, size).content_hash() for size in (27, 28)}
    assert len(hashes | {InMemory(images, None).content_hash()}) == 3


def test_corners_larger_than_the_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.corners needs data\.image_size of at most 32 pixels, got 64"):
        CIFAR10(image_size=64, corners=True)


@pytest.mark.usefixtures("calls")
def test_the_module_hands_out_corners(tmp_path: Path) -> None:
    data = made(tmp_path, corners=True, image_size=28)
    assert len(data.train_dataset) == 80
    assert torch.equal(data.train_dataset[79]["image"], torch.from_numpy(PIXELS[19, 4:, 4:]).permute(2, 0, 1))
    assert data.train_dataset[79]["label"] == 9
