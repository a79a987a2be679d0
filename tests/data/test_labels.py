"""Few labels: which are told, and in which order samples with and without them come."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lit_gans.data import Digits, Folder
from lit_gans.data.labels import check_labels, few_labels
from lit_gans.data.order import ExactOrder, LabelledOrder
from lit_gans.data.samples import InMemory

NAMES = [str(number) for number in range(10)]


def some_labels(n: int = 300) -> torch.Tensor:
    return torch.arange(n) % 10


def test_as_many_of_each_class_and_by_the_seed() -> None:
    kept = few_labels(some_labels(), 50, NAMES, seed=3)
    assert torch.bincount(kept[kept >= 0]).tolist() == [5] * 10
    assert torch.equal(kept[kept >= 0], some_labels()[kept >= 0])
    assert torch.equal(kept, few_labels(some_labels(), 50, NAMES, seed=3))
    assert not torch.equal(kept, few_labels(some_labels(), 50, NAMES, seed=4))


def test_what_is_left_over_goes_to_classes_drawn_by_the_seed() -> None:
    counts = [torch.bincount(k[k >= 0]) for k in (few_labels(some_labels(), 23, NAMES, seed) for seed in range(4))]
    assert all(sorted(count.tolist()) == [2] * 7 + [3] * 3 for count in counts)
    assert len({tuple(count.tolist()) for count in counts}) > 1


@pytest.mark.parametrize(
    ("labels", "count", "sentence"),
    [
        (None, 20, "the data have none: leave it out"),
        (some_labels(), 9, "fewer than the 10 classes: use at least 10"),
        (some_labels(), 301, "more than the 300 labels that there are"),
        (torch.cat([some_labels(), torch.zeros(100, dtype=torch.int64)]), 400, "but 1 has 30: use at most 300"),
    ],
)
def test_impossible_numbers_of_labels_are_refused(labels: Any, count: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        few_labels(labels, count, NAMES, 0)


def test_labels_out_of_range_and_classes_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 9, one for each class, or -1 for unlabelled; the data have -2, 10"):
        check_labels(torch.tensor([0, 10, -2, -1]), NAMES)
    with pytest.raises(ValueError, match="No sample has the label of 7, 9"):
        check_labels(torch.tensor([0, 1, 2, 3, 4, 5, 6, 8, -1]), NAMES)
    check_labels(some_labels(), NAMES)


# Order


def order(position: int = 0, rank: int = 0, world_size: int = 1, known: int = 7) -> LabelledOrder:
    labels = torch.where(torch.arange(40) % 40 < known, torch.arange(40) % 3, -1)
    data = InMemory(torch.arange(40), labels)
    place = {"rank": rank, "world_size": world_size}
    return LabelledOrder(data, batch_size=8, position=lambda: position, seed=5, **place)


def test_a_batch_is_unlabelled_then_labelled_then_others() -> None:
    """The first third is the usual order; each labelled sample comes equally often; the others once an epoch."""
    usual = ExactOrder(range(40), batch_size=8, position=lambda: 0, seed=5)
    ours = [order().batch(number) for number in range(35)]
    assert [batch[:8] for batch in ours] == [usual.batch(number) for number in range(35)]
    labelled = torch.tensor([batch[8:16] for batch in ours]).flatten()
    assert torch.bincount(labelled).tolist() == [40] * 7
    assert all(labelled[start : start + 7].sort().values.tolist() == list(range(7)) for start in range(0, 280, 7))
    others = torch.tensor([batch[16:] for batch in ours[:5]]).flatten()
    assert others.sort().values.tolist() == list(range(40))
    assert ours[0][16:] != ours[0][:8]


def test_the_order_goes_on_where_it_was_and_devices_share_it() -> None:
    whole = list(order())
    assert len(whole) == len(order()) == 3 * 40
    assert list(order(position=3))[:48] == whole[72:120]
    parts = [order(rank=rank, world_size=2).batch(4) for rank in range(2)]
    together = [parts[rank][4 * third + i] for third in range(3) for rank in range(2) for i in range(4)]
    assert together == order().batch(4)


class Learner:
    """As much of a model as the data look at."""

    learns_labels, batches_seen = True, 0


class Training:
    training, num_devices, accelerator, global_rank, world_size = True, 1, None, 0, 1
    lightning_module = Learner()


def test_a_model_that_learns_labels_gets_them_and_others_do_not() -> None:
    for learns in (True, False):
        data = Digits(image_size=8, batch_size=16, num_labelled=20, flip=True)
        data.trainer = Training()
        data.trainer.lightning_module = Learner() if learns else object()
        data.setup("fit")
        batch = next(iter(data.train_dataloader()))
        assert {name: len(values) for name, values in batch.items()} == dict.fromkeys(
            ["image", "label", "labelled_image", "labelled_label", "other_image"] if learns else ["image", "label"], 16
        )
        flipped = data.on_after_batch_transfer(batch, 0)
        assert all(not torch.equal(flipped[name], batch[name]) for name in batch if name.endswith("image"))
        if learns:
            assert (batch["labelled_label"] >= 0).all()
            assert int((batch["label"] >= 0).sum()) < 8
    assert "20 of them labelled" in data.describe()


# Test sets


def test_digits_kept_for_a_test_are_no_training_digits() -> None:
    data = [Digits(image_size=8, num_test=500, seed=seed) for seed in (0, 1)]
    data[0].setup("fit")
    assert (len(data[0].train_dataset), len(data[0].test_dataset)) == (1297, 500)
    assert torch.equal(data[0].test_dataset.values, data[1].test_dataset.values)
    every = Digits(image_size=8)
    every.setup("fit")
    both = torch.cat([data[0].train_dataset.values, data[0].test_dataset.values]).flatten(1)
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, every.train_dataset.values.flatten(1).tolist()))
    with pytest.raises(ValueError, match=r"no test set: data\.num_test keeps some of the digits for it"):
        every.test_dataloader()
    with pytest.raises(ValueError, match=r"data\.num_test must be at least 0 and below the 1,797 digits, got 1797"):
        Digits(num_test=1797)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for folder, count in (
        ("train/cat", 3),
        ("train/dog", 2),
        ("train/unlabelled", 6),
        ("test/cat", 1),
        ("test/dog", 2),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            Image.new("L", (8, 8), 20 * i).save(tmp_path / folder / f"{i}.png")
    return tmp_path


def test_a_folder_of_unlabelled_images_beside_the_classes(pictures: Path) -> None:
    data = Folder(
        path=str(pictures / "train"), test_path=str(pictures / "test"), image_size=8, image_channels=1, batch_size=2
    )
    data.setup("fit")
    assert data.class_names == ["cat", "dog"]
    assert data.train_dataset.labels.tolist() == [0, 0, 0, 1, 1, *[-1] * 6]
    assert data.test_dataset.labels.tolist() == [0, 1, 1]
    assert "5 of them labelled" in data.describe()


def test_labels_from_a_csv(pictures: Path) -> None:
    table = pictures / "labels.csv"
    table.write_text("file,label\ncat/0.png,lion\nunlabelled/2.png,ant\ndog/1.png,\n")
    data = Folder(path=str(pictures / "train"), labels=str(table), image_size=8, image_channels=1, batch_size=2)
    data.setup("fit")
    assert data.class_names == ["ant", "lion"]
    assert data.train_dataset.labels.tolist() == [1, -1, -1, -1, -1, -1, -1, 0, -1, -1, -1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,label\ncat/0.png,a\n", "has no column file: its first line must be file,label"),
        ("file,label\ncat/9.png,a\n", "labels of files that are not there: cat/9.png"),
        ("file,label\ncat/0.png,\n", "has no label"),
    ],
)
def test_a_bad_csv_is_refused(pictures: Path, text: str, sentence: str) -> None:
    (pictures / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        Folder(path=str(pictures / "train"), labels=str(pictures / "labels.csv")).setup("fit")


def test_other_classes_in_the_test_are_refused(pictures: Path) -> None:
    (pictures / "test" / "cow").mkdir()
    Image.new("L", (8, 8)).save(pictures / "test" / "cow" / "0.png")
    data = Folder(path=str(pictures / "train"), test_path=str(pictures / "test"), batch_size=2)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"has the classes cow; those of data\.path are cat, dog"):
        data.test_dataloader()
    with pytest.raises(FileNotFoundError, match=r"data\.labels=nowhere\.csv is not a file"):
        Folder(path=str(pictures / "train"), labels="nowhere.csv").setup("fit")
