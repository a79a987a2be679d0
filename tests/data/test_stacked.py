"""Stacked digits: which digits, in which channels, the same on every resume; and the origin."""

import pytest
import torch

from lit_gans.data import Digits, Dirac, StackedDigits, StackedMNIST
from lit_gans.data.stacked import EPOCH, integers


def stacked(**options):
    data = StackedDigits(**{"image_size": 16, "batch_size": 32, **options})
    data.setup("fit")
    return data


def test_each_channel_is_a_digit_and_the_label_is_their_number() -> None:
    data, digits = stacked(num_samples=200), Digits(image_size=16)
    digits.setup("fit")
    known = digits.train_dataset.__getitems__(list(range(1797)))
    batch = data.train_dataset.__getitems__(list(range(20)))
    assert batch["image"].shape == (20, 3, 16, 16)
    assert batch["image"].dtype == torch.uint8
    for image, label in zip(batch["image"], batch["label"], strict=True):
        found = [int((known["image"][:, 0] == channel).flatten(1).all(1).nonzero()[0]) for channel in image]
        assert int(label) == int("".join(str(int(known["label"][index])) for index in found))


def test_an_image_is_the_same_whenever_it_is_asked_for_and_seeds_differ() -> None:
    first, again, other = stacked(), stacked(), stacked(seed=1)
    a, b = first.train_dataset.__getitems__([5, 7, 10**7]), again.train_dataset.__getitems__([10**7, 5])
    assert torch.equal(a["image"][[2, 0]], b["image"])
    assert not torch.equal(a["image"], other.train_dataset.__getitems__([5, 7, 10**7])["image"])
    assert first.content_hash() == again.content_hash() != other.content_hash()


def test_digits_are_equally_likely_and_channels_independent() -> None:
    labels = stacked().train_dataset.__getitems__(list(range(60_000)))["label"]
    classes = Digits(image_size=16)
    classes.setup("fit")
    expected = classes.train_dataset.labels.bincount(minlength=10) / 1797
    digits = torch.stack([labels // 100, labels // 10 % 10, labels % 10])
    for channel in digits:
        torch.testing.assert_close(channel.bincount(minlength=10) / 60_000, expected, rtol=0, atol=0.006)
    assert torch.corrcoef(digits.double()).fill_diagonal_(0).abs().max() < 0.015


def test_integers_are_uniform_and_reach_both_ends() -> None:
    found = torch.from_numpy(integers(12345, torch.arange(70_000).numpy(), 7))
    assert (found.min(), found.max()) == (0, 6)
    shares = found.bincount() / 70_000
    torch.testing.assert_close(shares, torch.full((7,), 1 / 7), rtol=0, atol=0.006)


def order(data, batches, start=0):
    data.batches_seen = start
    loader = iter(data.train_dataloader())
    return [next(loader)["label"] for _ in range(batches)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("num_samples", [None, 100])
def test_a_resumed_run_sees_what_it_would_have_seen(workers: int, num_samples: int | None) -> None:
    straight = order(stacked(num_samples=num_samples), 3)
    resumed = order(stacked(num_samples=num_samples, num_workers=workers), 2, start=1)
    assert all(torch.equal(a, b) for a, b in zip(straight[1:], resumed, strict=True))
    assert not torch.equal(straight[0], straight[1])


def test_without_an_end_no_image_comes_twice() -> None:
    data = stacked()
    assert len(data.train_dataset) == EPOCH
    later = order(data, 1, start=EPOCH // 32)[0]
    assert not torch.equal(later, order(stacked(), 1)[0])


def test_what_is_told_and_what_is_refused() -> None:
    said = stacked().describe()
    assert said.startswith(
        "StackedDigits: new images all the time, 16x16 pixels; in each of 3 channels one of the 1,797"
    )
    assert said.endswith("1,000 modes.")
    data = stacked(num_samples=64, image_channels=1)
    assert (data.num_classes, data.class_names[7], data.shape) == (10, "7", (1, 16, 16))
    with pytest.raises(ValueError, match=r"num_samples must be at least 1, or null .* got 0"):
        StackedDigits(num_samples=0)
    with pytest.raises(ValueError, match="batch_size is 32, but the data set has only 8"):
        stacked(num_samples=8)
    with pytest.raises((ValueError, OSError), match="MNIST"):
        StackedMNIST(root="nowhere").setup("fit")


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_origin(dimension: int) -> None:
    data = Dirac(dimension=dimension, num_samples=64, batch_size=8)
    data.setup("fit")
    assert data.shape == (dimension,)
    assert not data.train_dataset.__getitems__([0, 5])["image"].any()
    with pytest.raises(ValueError, match="dimension must be 1 or 2, got 3"):
        Dirac(dimension=3)
