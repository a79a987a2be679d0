"""The shipped judge of digits."""

import runpy
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate

from lit_gans.metrics import DigitsClassifier, class_shares, confident_share
from lit_gans.metrics.digits import TRAIN_IMAGES, WEIGHTS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def classifier() -> DigitsClassifier:
    return DigitsClassifier.pretrained()


@pytest.fixture(scope="module")
def held_out() -> tuple[Tensor, Tensor]:
    """360 digits in [-1, 1] that the classifier did not learn from, and their classes."""
    data = load_digits()
    return torch.from_numpy(data.images[TRAIN_IMAGES:]).float()[:, None] / 8 - 1, torch.from_numpy(
        data.target[TRAIN_IMAGES:]
    )


def enlarged(images: Tensor, size: int) -> Tensor:
    return interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(-1, 1)


@pytest.mark.parametrize("size", [8, 16, 20, 32, 64])
def test_held_out_digits_are_read_at_every_size(
    size: int, classifier: DigitsClassifier, held_out: tuple[Tensor, Tensor]
) -> None:
    images, labels = held_out
    probabilities = classifier.probabilities(enlarged(images, size))
    assert float((probabilities.argmax(1) == labels).float().mean()) > 0.97
    assert 0.9 < confident_share(probabilities) < 0.99
    assert class_shares(probabilities).min() > 0.08


def test_what_is_no_digit_is_not_read_with_certainty(
    classifier: DigitsClassifier, held_out: tuple[Tensor, Tensor]
) -> None:
    images = enlarged(held_out[0], 32)
    blends = (images + images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]) / 2
    noise = torch.rand(200, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert confident_share(classifier.probabilities(blends)) < 0.3
    assert confident_share(classifier.probabilities(noise)) < 0.05


def test_bytes_and_rgb_are_read_like_grey_floats(classifier: DigitsClassifier, held_out: tuple[Tensor, Tensor]) -> None:
    images = enlarged(held_out[0][:50], 32)
    pixels = ((images + 1) * 127.5).round().to(torch.uint8)
    exact = pixels.float() / 127.5 - 1
    torch.testing.assert_close(classifier(pixels), classifier(exact))
    torch.testing.assert_close(classifier(pixels.expand(-1, 3, -1, -1)), classifier(pixels), rtol=1e-4, atol=1e-4)
    assert classifier.features(pixels).shape == (50, 64)
    oblong = classifier(torch.zeros(2, 3, 24, 40))
    assert oblong.shape == (2, 10)


def test_too_small_images_are_refused(classifier: DigitsClassifier) -> None:
    with pytest.raises(ValueError, match=r"an image \(N, C, 8 or more, 8 or more\), got the shape \(2, 1, 7, 7\)"):
        classifier(torch.zeros(2, 1, 7, 7))


def test_shares_of_given_probabilities() -> None:
    probabilities = torch.tensor([[0.95, 0.05, 0.0], [0.1, 0.9, 0.0], [0.4, 0.6, 0.0], [0.91, 0.0, 0.09]])
    assert class_shares(probabilities).tolist() == [0.5, 0.5, 0.0]
    assert confident_share(probabilities) == 0.5
    assert confident_share(probabilities, threshold=0.5) == 1.0


def test_weights_are_small_and_loading_draws_nothing() -> None:
    assert WEIGHTS.stat().st_size < 300_000
    before = torch.get_rng_state()
    classifier = DigitsClassifier.pretrained()
    assert torch.equal(before, torch.get_rng_state())
    assert not classifier.training
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


def test_script_is_reproducible_and_learns_from_the_stated_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "digits_classifier.py"), run_name="script")
    images, labels = script["digits"]()
    assert images.shape == (1797, 1, 8, 8)
    assert (images.min(), images.max()) == (-1, 1)
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        first, second = (script["train"](images[:256], labels[:256], 2) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(deterministic)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
