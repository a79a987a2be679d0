"""A small judge of digits, trained on scikit-learn's: an extractor that needs no download, and a reader of samples.

`python benchmarks/digits_classifier.py` trains it and writes the weights shipped beside this file.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

WEIGHTS = Path(__file__).with_name("digits.safetensors")
TRAIN_IMAGES = 1437
"""It learned from the first 1,437 of scikit-learn's 1,797 digits; the last 360 are held out."""
INPUT_SIZE = 16


class DigitsClassifier(nn.Module):
    """Images ``(N, C, H, W)``, uint8 or floats in [-1, 1], to raw logits ``(N, 10)``.

    Any C and any size from 8 pixels: images become grey and 16x16 first. Of images that are no digits its features
    are those of a toy, good for comparing runs with each other.
    """

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(1, 16, stride=1),
            *_convolution(16, 32, stride=2),
            *_convolution(32, 32, stride=2),
            nn.Flatten(),
            nn.Linear(32 * (INPUT_SIZE // 4) ** 2, self.num_features),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(self.num_features, 10))

    @classmethod
    def pretrained(cls) -> "DigitsClassifier":
        """The classifier with the shipped weights, frozen, in eval mode."""
        with torch.device("meta"):  # no random numbers are drawn
            classifier = cls()
        classifier.load_state_dict(load_file(WEIGHTS), assign=True)
        return classifier.eval().requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        """The 64 activations ``(N, 64)`` before the last layer.

        Raises:
            ValueError: if these are no images of at least 8x8 pixels.
        """
        if images.dim() != 4 or min(images.shape[2:]) < 8:
            raise ValueError(f"A digit is an image (N, C, 8 or more, 8 or more), got the shape {tuple(images.shape)}.")
        x = images / 127.5 - 1 if images.dtype == torch.uint8 else images.float()
        x = interpolate(x.mean(1, keepdim=True), size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)
        features: Tensor = self.body(x)
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """p(digit | image), ``(N, 10)``, worked out in chunks; in eval mode only does it mean something."""
        return torch.cat([self(images[i : i + 500]).softmax(1) for i in range(0, len(images), 500)])


def class_shares(probabilities: Tensor) -> Tensor:
    """The share of images read as each digit, ``(10,)``, from probabilities ``(N, 10)``."""
    return probabilities.argmax(1).bincount(minlength=probabilities.shape[1]) / len(probabilities)


def confident_share(probabilities: Tensor, threshold: float = 0.9) -> float:
    """The share of images read as some digit with more than ``threshold``, from probabilities ``(N, 10)``."""
    return float((probabilities.amax(1) > threshold).float().mean())


def _convolution(before: int, after: int, *, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
