"""Captions: which there are, whose they are, which images they could be of, and what a model is told of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

TOLD = 4
"""Captions of an image whose mean embedding a model is told, as in StackGAN's code (arXiv 1612.03242)."""


class Captions:
    """One caption or more for each of N images.

    Args:
        of: the captions of each image.
        kinds: ``(N,)`` int64: images of one kind fit each other's captions. None where that is not known: images that
            share a caption are then of one kind, and those that share one with any of these.

    Attributes:
        texts: all captions, each once.
        numbers: ``(N, K)`` int64, the captions of each image in ``texts``, K the most that an image has; an image with
            fewer has its own again and again.
        kinds: ``(N,)`` int64.

    Raises:
        ValueError: if an image has no caption.
    """

    def __init__(self, of: Sequence[Sequence[str]], kinds: Tensor | None = None) -> None:
        bare = [index for index, own in enumerate(of) if not own]
        if bare or not of:
            raise ValueError(f"Image {bare[0]} has no caption." if bare else "There are no captions.")
        places = {text: place for place, text in enumerate(dict.fromkeys(text for own in of for text in own))}
        most = max(len(own) for own in of)
        self.texts = list(places)
        self.numbers = torch.tensor([[places[own[k % len(own)]] for k in range(most)] for own in of])
        self.kinds = shared(of) if kinds is None else kinds

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> list[str]:
        """The captions of one image."""
        return [self.texts[number] for number in dict.fromkeys(self.numbers[index].tolist())]


def shared(of: Sequence[Sequence[str]]) -> Tensor:
    """Kinds ``(N,)`` of images: equal where captions, but for case and spaces, lead from one to the other."""
    first: dict[str, int] = {}
    kinds = list(range(len(of)))

    def root(index: int) -> int:
        while kinds[index] != index:
            kinds[index] = kinds[kinds[index]]
            index = kinds[index]
        return index

    for index, own in enumerate(of):
        for text in own:
            other = root(first.setdefault(" ".join(text.casefold().split()), index))
            kinds[max(root(index), other)] = min(root(index), other)
    return torch.tensor([root(index) for index in range(len(of))])


def told(embeddings: Tensor, order: Tensor) -> Tensor:
    """The mean of the first :data:`TOLD` embeddings in a random order, or of all where there are fewer.

    Args:
        embeddings: ``(N, K, E)``, of the captions of each image.
        order: ``(N, K)``, random numbers, of which the lowest come first.

    Returns:
        ``(N, E)``.
    """
    chosen = order.argsort(1)[:, :TOLD].to(embeddings.device)
    return embeddings.gather(1, chosen[:, :, None].expand(-1, -1, embeddings.shape[2])).mean(1)
