"""A convolutional network over characters, learnt from the images that the texts describe.

Learning Deep Representations of Fine-grained Visual Descriptions, Reed et al., CVPR 2016, arXiv 1605.05395: the encoder
of StackGAN's texts, made small. Theirs has a recurrent network on top and 70 characters, and learns from features of a
network that was trained on ImageNet; this one knows the characters of every script, and learns from the images.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans.data.captions import Captions
from lit_gans.keys import key
from lit_gans.text.encoder import TextEncoder, check_dim, check_texts, digest_of, normalised, scaled
from lit_gans.text.matching import ImageEncoder, learn

AT_ONCE = 256  # texts
STRIDE = 9  # of the last convolution, in characters
SPILL = 2 + 2 * 3 + 2 * 9  # characters that three convolutions of width 5 reach past the end, at strides 1, 3 and 9


class CharCNN(nn.Module, TextEncoder):
    """The first ``length`` characters of a text, normalised, to its embedding.

    It is not trained by a game: outside :meth:`fit` none of its parameters asks for a gradient.

    Args:
        dim: E.
        length: characters that are read; the paper's 201.
        seed: of its initial weights, and of the batches it learns from.
        steps: batches that it learns from.

    Attributes:
        fitted: whether it has learnt; a buffer, so that a checkpoint knows.

    Raises:
        ValueError: if an option is out of its range.
    """

    frozen = False

    fitted: Tensor

    def __init__(self, dim: int = 256, length: int = 201, seed: int = 0, steps: int = 1000) -> None:
        super().__init__()
        self.dim, self.length, self.seed, self.steps = check_dim(dim), length, seed, steps
        if not isinstance(length, int) or length < 1:
            raise ValueError(f"length of the text encoder 'char_cnn' must be at least 1 character, got {length!r}.")
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps of the text encoder 'char_cnn' must be at least 1 batch, got {steps!r}.")
        with _seeded(seed, "char_cnn"):
            # A character is its row plus its column in Unicode's charts: 512 vectors tell 65,536 characters apart.
            self.low, self.high = nn.Embedding(256, 32), nn.Embedding(256, 32)
            # Without biases what follows a text is 0, as if it were not there.
            self.layers = nn.Sequential(
                *(nn.Conv1d(32, 64, 5, padding=2, bias=False), nn.ReLU(), nn.MaxPool1d(3)),
                *(nn.Conv1d(64, 128, 5, padding=2, bias=False), nn.ReLU(), nn.MaxPool1d(3)),
                *(nn.Conv1d(128, 128, 5, padding=2, bias=False), nn.ReLU()),
            )
            self.out = nn.Linear(128, dim)
        self.register_buffer("fitted", torch.tensor(False))
        self.requires_grad_(False)

    def codes(self, texts: Sequence[str]) -> Tensor:
        """Code points ``(N, L)`` int64 of texts, with zeros behind, as many as the longest of them needs."""
        read = [" ".join(normalised(text).split())[: self.length] for text in texts]
        width = -(-(max(map(len, read)) + SPILL) // STRIDE) * STRIDE
        joined = "".join(text.ljust(width, "\0") for text in read).encode("utf-32-le", "surrogatepass")
        return torch.from_numpy(np.frombuffer(joined, "<u4").astype(np.int64)).view(len(read), width)

    def forward(self, codes: Tensor) -> Tensor:
        """Embeddings ``(N, E)`` of code points ``(N, L)``, 0 where there is no character."""
        characters = (self.low(codes % 256) + self.high(codes // 256 % 256)) * (codes > 0).unsqueeze(-1)
        found: Tensor = self.layers(characters.transpose(1, 2))
        return scaled(self.out(found.amax(2)))

    def fit(
        self,
        images: Callable[[Tensor], Tensor],
        captions: Captions,
        *,
        batch_size: int = 64,
        lr: float = 1e-3,
    ) -> None:
        """Learns to tell which caption belongs to which image, from the start whatever was learnt before.

        Args:
            images: those ``(n, C, H, W)`` uint8 at indices ``(n,)``.
            captions: of the images.
            batch_size: images with one of their captions each.
            lr: learning rate of Adam.

        Raises:
            ValueError: if an option is out of its range, a caption is blank, or all images are of one kind.
        """
        _check(captions, batch_size, lr)
        device = self.fitted.device
        self.load_state_dict(CharCNN(self.dim, self.length, self.seed).state_dict())
        with _seeded(self.seed, "image encoder"):
            image_encoder = ImageEncoder(images(torch.tensor([0])).shape[1], self.dim).to(device)
        draws = self._batches(images, captions, batch_size)
        batches = ((seen.to(device), read.to(device), kinds.to(device)) for seen, read, kinds in draws)
        self.requires_grad_(True)
        try:
            learn(image_encoder, self, batches, lr)
        finally:
            self.zero_grad()
            self.requires_grad_(False)
        self.fitted.fill_(True)

    def _batches(
        self, images: Callable[[Tensor], Tensor], captions: Captions, batch_size: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(key(self.seed, "batches"))
        for _ in range(self.steps):
            which = torch.randint(len(captions), (batch_size,), generator=generator)
            caption = torch.randint(captions.numbers.shape[1], (batch_size,), generator=generator)
            numbers = captions.numbers[which, caption].tolist()
            yield images(which), self.codes([captions.texts[number] for number in numbers]), captions.kinds[which]

    @override
    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        if not self.fitted:
            raise ValueError(
                "The text encoder 'char_cnn' has not learnt yet: call its fit(images, captions), or use bag_of_words, "
                "which learns nothing."
            )
        check_texts(texts)
        embeddings = torch.empty(len(texts), self.dim, dtype=torch.float32)
        device = self.fitted.device
        with torch.autocast(device.type, enabled=False):
            for start in range(0, len(texts), AT_ONCE):
                codes = self.codes(texts[start : start + AT_ONCE]).to(device)
                embeddings[start : start + AT_ONCE] = self(codes)
        return embeddings

    @override
    def fingerprint(self) -> str:
        return digest_of(self.state_dict(), "char_cnn", self.dim, self.length)


def _check(captions: Captions, batch_size: int, lr: float) -> None:
    if batch_size < 2 or lr <= 0:
        raise ValueError(
            "The text encoder 'char_cnn' learns by a batch_size of at least 2 and lr above 0, got "
            f"{batch_size} and {lr}."
        )
    check_texts(captions.texts)
    if bool((captions.kinds == captions.kinds[0]).all()):
        raise ValueError(
            "The text encoder 'char_cnn' learns from captions that do not fit an image, and here each fits all: use "
            "bag_of_words, which learns nothing."
        )


@contextmanager
def _seeded(seed: int, name: str) -> Iterator[None]:
    """Draws under their own key, the global random state left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, name))
        yield
