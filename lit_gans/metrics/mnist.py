"""A small reader of MNIST's digits, for counting the modes of stacked MNIST.

`python benchmarks/mnist_classifier.py --root FOLDER` trains it and writes the weights shipped beside this file.
"""

from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import pad
from typing_extensions import override

from lit_gans.metrics.reader import DigitReader, convolution

WEIGHTS = Path(__file__).with_name("mnist.safetensors")
TEST_ACCURACY = 0.9946
"""Of MNIST's 10,000 test digits at 28 pixels; it learned from the 60,000 training digits."""
INPUT_SIZE = 32


class MNISTClassifier(DigitReader):
    """Images ``(N, C, H, W)``, uint8 or floats in [-1, 1], to raw logits ``(N, 10)``.

    Any C and any size from 8 pixels: images become grey and 32x32 first, those of MNIST's own 28x28 by a black border,
    as :class:`lit_gans.data.MNIST` makes them, all others by a resize.
    """

    weights, input_size = WEIGHTS, INPUT_SIZE

    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(
                *convolution(1, 24, stride=2, kernel=5),
                *convolution(24, 48, stride=2),
                *convolution(48, 48, stride=1),
                *convolution(48, 64, stride=2),
                nn.Flatten(),
                nn.Linear(64 * (INPUT_SIZE // 8) ** 2, self.num_features),
                nn.ReLU(),
            )
        )

    @override
    def fitted(self, images: Tensor) -> Tensor:
        return pad(images, (2, 2, 2, 2), value=-1.0) if images.shape[2:] == (28, 28) else super().fitted(images)
