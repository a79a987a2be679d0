"""What the shipped readers of digits share: how an image gets in, how probabilities come out."""

from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

R = TypeVar("R", bound="DigitReader")
AT_ONCE = 500  # images; more of them fall out of a CPU's caches


class DigitReader(nn.Module):
    """Images ``(N, C, H, W)``, uint8 or floats in [-1, 1], to raw logits ``(N, 10)``.

    Any C and any size from 8 pixels: images become grey and ``input_size`` pixels first.

    Args:
        body: from ``(N, 1, input_size, input_size)`` to ``(N, num_features)``.

    Attributes:
        weights: the file shipped beside the class.
        input_size: pixels of a side of what the network sees.
        num_features: length of the last hidden layer.
    """

    weights: ClassVar[Path]
    input_size: ClassVar[int]
    num_features: ClassVar[int] = 64

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(self.num_features, 10))

    @classmethod
    def pretrained(cls: type[R]) -> R:
        """The reader with the shipped weights, frozen, in eval mode."""
        with torch.device("meta"):  # no random numbers are drawn
            reader = cls()  # type: ignore[call-arg]
        reader.load_state_dict(load_file(cls.weights), assign=True)
        return reader.eval().requires_grad_(False)

    def fitted(self, images: Tensor) -> Tensor:
        """Grey images ``(N, 1, H, W)`` as ``(N, 1, input_size, input_size)``."""
        return interpolate(images, size=(self.input_size, self.input_size), mode="bilinear", antialias=True)

    def features(self, images: Tensor) -> Tensor:
        """The activations ``(N, num_features)`` before the last layer.

        Raises:
            ValueError: if these are no images of at least 8x8 pixels.
        """
        if images.dim() != 4 or min(images.shape[2:]) < 8:
            raise ValueError(f"A digit is an image (N, C, 8 or more, 8 or more), got the shape {tuple(images.shape)}.")
        x = images / 127.5 - 1 if images.dtype == torch.uint8 else images.float()
        features: Tensor = self.body(self.fitted(x.mean(1, keepdim=True)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """p(digit | image), ``(N, 10)``, worked out in chunks; in eval mode only does it mean something."""
        return torch.cat([self(images[i : i + AT_ONCE]).softmax(1) for i in range(0, len(images), AT_ONCE)])


def convolution(before: int, after: int, *, stride: int, kernel: int = 3) -> tuple[nn.Module, ...]:
    """A convolution that divides the size by its stride, batch norm, a ReLU."""
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
