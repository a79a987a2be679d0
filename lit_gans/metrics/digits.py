"""A small judge of digits, trained on scikit-learn's: an extractor that needs no download, and a reader of samples.

`python benchmarks/digits_classifier.py` trains it and writes the weights shipped beside this file.
"""

from pathlib import Path

from torch import Tensor, nn

from lit_gans.metrics.reader import DigitReader, convolution

WEIGHTS = Path(__file__).with_name("digits.safetensors")
TRAIN_IMAGES = 1437
"""It learned from the first 1,437 of scikit-learn's 1,797 digits; the last 360 are held out."""
INPUT_SIZE = 16


class DigitsClassifier(DigitReader):
    """Images ``(N, C, H, W)``, uint8 or floats in [-1, 1], to raw logits ``(N, 10)``.

    Any C and any size from 8 pixels: images become grey and 16x16 first. Of images that are no digits its features
    are those of a toy, good for comparing runs with each other.
    """

    weights, input_size = WEIGHTS, INPUT_SIZE

    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(
                *convolution(1, 16, stride=1),
                *convolution(16, 32, stride=2),
                *convolution(32, 32, stride=2),
                nn.Flatten(),
                nn.Linear(32 * (INPUT_SIZE // 4) ** 2, self.num_features),
                nn.ReLU(),
            )
        )


def class_shares(probabilities: Tensor) -> Tensor:
    """The share of images read as each digit, ``(10,)``, from probabilities ``(N, 10)``."""
    return probabilities.argmax(1).bincount(minlength=probabilities.shape[1]) / len(probabilities)


def confident_share(probabilities: Tensor, threshold: float = 0.9) -> float:
    """The share of images read as some digit with more than ``threshold``, from probabilities ``(N, 10)``."""
    return float((probabilities.amax(1) > threshold).float().mean())
