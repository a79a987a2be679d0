"""The shipped reader of MNIST's digits."""

import os
from pathlib import Path

import pytest
import torch

from lit_gans.data import Digits
from lit_gans.metrics.mnist import TEST_ACCURACY, WEIGHTS, MNISTClassifier


def test_it_is_small_frozen_and_loads_without_drawing():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    reader = MNISTClassifier.pretrained()
    assert torch.equal(torch.get_rng_state(), before)
    assert WEIGHTS.stat().st_size < 1_000_000
    assert not reader.training
    assert not any(parameter.requires_grad for parameter in reader.parameters())
    assert TEST_ACCURACY >= 0.9925


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (3, 3, 32, 32), (8, 1, 64, 64)])
def test_any_size_and_any_number(shape):
    probabilities = MNISTClassifier.pretrained().probabilities(torch.zeros(shape))
    assert probabilities.shape == (shape[0], 10)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(shape[0]))
    with pytest.raises(ValueError, match="A digit is an image"):
        MNISTClassifier.pretrained().probabilities(torch.zeros(2, 1, 4, 4))


def test_it_reads_digits_of_another_kind():
    """scikit-learn's, made of 8x8 pixels, which it never saw: far above one in ten."""
    data = Digits(image_size=32)
    data.setup("fit")
    batch = data.train_dataset.__getitems__(list(range(0, 1797, 9)))
    right = MNISTClassifier.pretrained().probabilities(batch["image"]).argmax(1) == batch["label"]
    assert 0.5 < float(right.float().mean()) <= 1


def test_it_reads_the_test_digits():
    root = os.environ.get("MNIST_ROOT")
    if not root or not Path(root, "MNIST", "raw").exists():
        pytest.skip("MNIST_ROOT names no folder with MNIST's files")
    from torchvision.datasets import MNIST

    digits = MNIST(root, train=False)
    right = MNISTClassifier.pretrained().probabilities(digits.data[:, None]).argmax(1) == digits.targets
    assert float(right.float().mean()) == pytest.approx(TEST_ACCURACY, abs=1e-4)
