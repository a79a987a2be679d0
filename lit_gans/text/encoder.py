"""What a text encoder is, and what all of them do with a text."""

import hashlib
import math
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


class TextEncoder(ABC):
    """Texts to embeddings ``(N, E)`` of length sqrt(E), so that their entries are of order 1.

    Attributes:
        frozen: whether it is used as it is; if not, it must learn from images and their captions first.
        cached: whether its embeddings take so long that they are kept on disk.
        dim: E.
    """

    frozen: ClassVar[bool] = True
    cached: ClassVar[bool] = False
    dim: int

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embeddings ``(N, E)``, float32 on the CPU, without a gradient.

        Raises:
            ValueError: if a text is empty or blank, or the encoder has yet to learn.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Hexadecimal; different where the embeddings may be."""


def check_texts(texts: Sequence[str]) -> None:
    """Refuses what has no embedding.

    Raises:
        ValueError: if one text comes in place of several, or one of them is no string, empty or blank.
    """
    if isinstance(texts, str):
        raise ValueError(f"Texts come in a list, even if there is one: [{texts[:40]!r}].")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"Text {index} is no string but {text!r}.")
        if not text or text.isspace():
            raise ValueError(f"Text {index} is {'blank' if text else 'empty'}: there is nothing in it to encode.")


def check_dim(dim: int) -> int:
    """The length of an embedding itself.

    Raises:
        ValueError: if it is no whole number above 0.
    """
    if not isinstance(dim, int) or dim < 1:
        raise ValueError(f"dim of a text encoder must be a whole number of at least 1, got {dim!r}.")
    return dim


def normalised(text: str) -> str:
    """The text in NFKC and casefolded: alike for capitals, wide and narrow forms, composed and split accents."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def scaled(vectors: Tensor) -> Tensor:
    """Vectors ``(N, E)`` at length sqrt(E); 0 stays 0."""
    # In float64 a sum of squared counts is exact: no rounding then depends on the rest of the batch.
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True, dtype=torch.float64)
    factors: Tensor = math.sqrt(vectors.shape[1]) / lengths.clamp_min(1e-12)
    return vectors * factors.to(vectors.dtype)


def digest_of(state: Mapping[str, Tensor], *parts: Any) -> str:
    """Hexadecimal; different for other weights or other parts."""
    digest = hashlib.blake2b(repr((*parts, unicodedata.unidata_version)).encode(), digest_size=16)
    for name, value in state.items():
        digest.update(repr((name, value.dtype, tuple(value.shape))).encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
