"""Captions of images: whose they are, which fit which images, what a model is told."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from lit_gans.data import Digits
from lit_gans.data.captions import Captions, told
from lit_gans.data.samples import Samples
from tests.conftest import trainer


def test_captions_of_each_image() -> None:
    captions = Captions([["a", "b"], ["c"], ["b", "d", "a"]])
    assert captions.texts == ["a", "b", "c", "d"]
    assert captions.numbers.tolist() == [[0, 1, 0], [2, 2, 2], [1, 3, 0]]
    assert [captions[i] for i in range(len(captions))] == [["a", "b"], ["c"], ["b", "d", "a"]]


@pytest.mark.parametrize(
    ("of", "kinds"),
    [
        ([["a"], ["b"], ["c"]], [0, 1, 2]),
        ([["a"], ["b"], ["A "]], [0, 1, 0]),
        ([["a", "b"], ["c"], ["c", "b"], ["d"]], [0, 0, 0, 3]),
        ([["a"], ["b"], ["c"], ["b", "c"], ["a", "c"]], [0, 0, 0, 0, 0]),
        ([["two  words"], ["Two words"], ["two-words"]], [0, 0, 2]),
    ],
)
def test_images_that_share_captions_are_of_one_kind(of: Sequence[Sequence[str]], kinds: list[int]) -> None:
    assert Captions(of).kinds.tolist() == kinds


def test_kinds_that_are_known() -> None:
    assert Captions([["a"], ["a"]], torch.tensor([3, 4])).kinds.tolist() == [3, 4]


@pytest.mark.parametrize("of", [[], [["a"], []]])
def test_an_image_without_a_caption(of: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"no caption"):
        Captions(of)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_model_is_told_the_mean_of_four_captions(size: int) -> None:
    embeddings, order = torch.randn(size, 6, 5), torch.rand(size, 6)
    expected = torch.stack([embeddings[i, order[i].argsort()[:4]].mean(0) for i in range(size)])
    torch.testing.assert_close(told(embeddings, order), expected)
    torch.testing.assert_close(told(embeddings[:, :3], order[:, :3]), embeddings[:, :3].mean(1))


def numbered(samples: Samples) -> Tensor:
    """Embeddings as a model would make them: the number of a text and its length."""
    assert samples.captions is not None
    return torch.tensor([[float(i), len(text)] for i, text in enumerate(samples.captions.texts)])


def batch_of(data: Digits, *, read: bool = True) -> dict[str, Tensor]:
    """The first one of training, on the device."""
    runner = trainer()
    data.trainer = runner
    runner.strategy._lightning_module = torch.nn.Module()
    data.setup("fit")
    if read:
        data.read_captions(numbered)
    runner.training = True
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def test_names_of_classes_are_captions() -> None:
    data = Digits(batch_size=6)
    batch = batch_of(data)
    captions = data.train_dataset.captions
    assert captions is not None
    assert batch["kind"].equal(batch["label"])
    assert [captions.texts[int(number)] for number in batch["text"][:, 0]] == [str(int(i)) for i in batch["label"]]
    assert "texts" not in batch


def test_captions_are_drawn_anew_for_each_batch_and_the_same_again() -> None:
    def texts(seen: int) -> Tensor:
        data = Digits(batch_size=6)
        data.train_dataset = data.load()
        words = [[f"{i} {k}" for k in range(9)] for i in range(len(data.train_dataset))]
        data.train_dataset.captions = Captions(words)
        batch = batch_of(data)
        assert batch["text"].shape == (6, 2)
        data.batches_seen = seen
        items = data.train_dataset.__getitems__([0, 1, 2])
        assert items["texts"].shape == (3, 9, 2)
        return data.augment(items)["text"]

    assert texts(4).equal(texts(4))
    assert not texts(4).equal(texts(5))


def test_models_that_read_nothing_are_told_nothing() -> None:
    assert set(batch_of(Digits(batch_size=6), read=False)) == {"image", "label"}
