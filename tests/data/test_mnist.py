"""MNIST and Fashion-MNIST, from small files of the same form; from the real ones where they are at hand."""

import gzip
import os
import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lit_gans.data import MNIST, FashionMNIST
from lit_gans.data.samples import InMemory

REAL = Path(os.environ.get("LIT_GANS_DATA") or Path(__file__).parents[2] / "../shared/data")


def numbers(seed: int, *shape: int, top: int = 256) -> Tensor:
    return torch.randint(top, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


IMAGES, LABELS = numbers(0, 20, 28, 28), numbers(1, 20, top=10)


def write(root: Path, name: str, values: Tensor, *, packed: bool = True, kind: str = "MNIST") -> Path:
    folder = root / kind / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    content = struct.pack(f">HBB{values.dim()}I", 0, 8, values.dim(), *values.shape) + values.numpy().tobytes()
    path = folder / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "train-images-idx3-ubyte", IMAGES)
    write(tmp_path, "train-labels-idx1-ubyte", LABELS)
    return tmp_path


def made(cls: type[MNIST], root: Path, **options: int) -> MNIST:
    data = cls(root=str(root), batch_size=4, **options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_a_black_border_makes_32_pixels(root: Path) -> None:
    data = made(MNIST, root)
    assert isinstance(data.train_dataset, InMemory)
    batch = data.train_dataset.__getitems__(range(20))
    assert torch.equal(batch["image"][:, 0, 2:-2, 2:-2], IMAGES)
    assert batch["image"].sum() == IMAGES.sum()
    assert batch["image"].shape == (20, 1, 32, 32)
    assert torch.equal(batch["label"], LABELS.long())
    assert data.describe() == "MNIST: 20 grey images of 32x32 pixels, 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)."


def test_other_sizes(root: Path) -> None:
    assert torch.equal(made(MNIST, root, image_size=28).train_dataset.__getitems__([3])["image"][0, 0], IMAGES[3])
    data = made(MNIST, root, image_size=16, image_channels=3)
    assert data.train_dataset[0]["image"].shape == data.shape == (3, 16, 16)
    bordered = made(MNIST, root).train_dataset[0]["image"].float()
    assert data.train_dataset[0]["image"].float().mean().item() == pytest.approx(bordered.mean().item(), abs=1.5)


def test_unpacked_files_are_read_and_preferred(root: Path) -> None:
    write(root, "train-images-idx3-ubyte", 255 - IMAGES, packed=False)
    assert torch.equal(made(MNIST, root, image_size=28).train_dataset[0]["image"][0], 255 - IMAGES[0])


def test_nothing_is_written(root: Path) -> None:
    before = sorted(root.rglob("*"))
    made(MNIST, root)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
def test_missing_files_are_asked_for_by_name_and_place(cls: type[MNIST], tmp_path: Path) -> None:
    name = cls.__name__
    sentence = rf"{name} is not in .*{name}/raw: train-images-idx3-ubyte.gz is missing. data.download=true fetches it"
    with pytest.raises(FileNotFoundError, match=sentence):
        made(cls, tmp_path)
    write(tmp_path, "train-images-idx3-ubyte", IMAGES, kind=name)
    with pytest.raises(FileNotFoundError, match=r"train-labels-idx1-ubyte.gz is missing.* or name with data.root"):
        made(cls, tmp_path)


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: str, *, download: bool) -> None:
        raise RuntimeError(f"Error downloading:\nno network for {root}, {download}")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", fail)
    data = FashionMNIST(root=str(tmp_path), download=True)
    with pytest.raises(
        FileNotFoundError, match=r"FashionMNIST cannot be downloaded \(no network for .*, True\)\. Put train-.*by hand"
    ):
        data.prepare_data()


def test_a_download_puts_the_files_where_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fetch(root: str, *, download: bool) -> None:
        calls.append(download)
        write(Path(root), "train-images-idx3-ubyte", IMAGES)
        write(Path(root), "train-labels-idx1-ubyte", LABELS)

    monkeypatch.setattr("torchvision.datasets.MNIST", fetch)
    for _ in range(2):
        data = MNIST(root=str(tmp_path), download=True, batch_size=4)
        data.prepare_data()
        data.setup("fit")
    assert (calls, len(data.train_dataset)) == ([True], 20)


def test_damaged_files_are_named(root: Path) -> None:
    path = write(root, "train-images-idx3-ubyte", IMAGES)
    whole = path.read_bytes()
    wrong = [gzip.compress(b"\0\0\x08\x03 short"), gzip.compress(b"RIFF" + bytes(16))]
    for content in (whole[:200], b"no gzip", b"", *wrong):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is damaged \(.+\): remove it and fetch"):
            made(MNIST, root)


def test_files_that_do_not_belong_together_are_refused(root: Path) -> None:
    write(root, "train-labels-idx1-ubyte", LABELS[:19])
    with pytest.raises(ValueError, match=r"images of the shape \(20, 28, 28\) and labels of the shape \(19,\)"):
        made(MNIST, root)


@pytest.mark.parametrize(
    ("cls", "folder", "mean", "class_name"),
    [(MNIST, "mnist", 0.1307, "9"), (FashionMNIST, "fashion-mnist", 0.2860, "Ankle boot")],
)
def test_the_real_files(cls: type[MNIST], folder: str, mean: float, class_name: str) -> None:
    if not (REAL / folder).is_dir():
        pytest.skip(f"no real data at {REAL / folder}; LIT_GANS_DATA names its folder")
    data = made(cls, REAL / folder, image_size=28)
    images, labels = data.train_dataset.values, data.train_dataset.labels
    assert images.shape == (60_000, 1, 28, 28)
    assert images.double().mean().item() / 255 == pytest.approx(mean, abs=5e-5)  # as is often published
    assert data.class_names[labels.max()] == class_name
    if cls is FashionMNIST:
        assert torch.bincount(labels).tolist() == [6000] * 10
