"""Real images with texts that they do not fit: what a discriminator learns from that a text says something.

Generative Adversarial Text to Image Synthesis, Reed et al., ICML 2016, arXiv 1605.05396, section 4.2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.game import Batch
from lit_gans.memory import PastTexts, Remembering, of_all_devices

PAST_TEXTS = 256
"""Among which the nearest wrong ones are looked for."""


def partners(kind: Tensor) -> tuple[Tensor, Tensor]:
    """Samples of a batch that have others of another kind beside them, ``(M,)``, and one of these for each, ``(M,)``.

    Args:
        kind: ``(N,)`` int64: samples of one kind fit each other's texts.
    """
    others = (kind[:, None] != kind).float()
    which = others.any(1).nonzero()[:, 0]
    return which, others[which].multinomial(1)[:, 0] if len(which) else which


class WrongTexts(Remembering):
    """D also minimises -w E log(1 - D(x', t)), x' real and t not its text.

    A random text is wrong in nearly all it says, and D learns what is told most easily. With ``wrong_texts`` each real
    x has as many wrong ones, the nearest to its own of those seen of late: they differ in little. ``matching_weight``
    adds E -log softmax(D(x, t), D(x, t_1), D(x, t_2), ...)_0, the own text being t, to D's loss for real images and to
    G's for its own (:func:`lit_gans.losses.matching`). A batch has ``kind`` ``(N,)``: images of one kind fit each
    other's texts. With ``wrong_texts`` the discriminator takes conditions ``(N, K, E)``, K texts of each image.

    Args:
        wrong_weight: w.
        wrong_texts: how many nearest wrong texts each real image has; 0 for that of another image in the batch.
        matching_weight: of telling the own text among the wrong ones.
        rest: options of :class:`lit_gans.GAN`.
    """

    def __init__(self, *, wrong_weight: float, wrong_texts: int, matching_weight: float, **rest: Any) -> None:
        super().__init__(**rest)
        self.wrong_weight, self.wrong_texts, self.matching_weight = wrong_weight, wrong_texts, matching_weight
        self.texts: Tensor | None = None  # of a player's turn, and what D says of its images with all of them
        self.logits: Tensor | None = None
        if wrong_texts:
            self.past_texts = PastTexts(PAST_TEXTS)

    def text(self, batch: Batch) -> Tensor:
        """Embeddings ``(N, E)``."""
        raise NotImplementedError(f"{type(self).__name__} must define text.")

    @override
    def play_batch(self, batch: Batch, *, counts: bool) -> dict[str, Tensor]:
        if self.wrong_texts:
            own, kind = self.text(batch), batch["kind"]
            self.past_texts.add(of_all_devices(own), of_all_devices(kind))
            wrong = self.past_texts.nearest(own, kind, self.wrong_texts)
            batch = {**batch, "texts": torch.cat([own[:, None], wrong], 1)}
        return super().play_batch(batch, counts=counts)

    @override
    def discriminator_terms(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        image = batch["image"]
        if "texts" in batch:
            terms, logits = self.with_logits(partial(super().discriminator_terms, batch, fake), image, batch["texts"])
            wrong, terms = logits[:, 1:].flatten(), {**terms, **self.matching_terms("discriminator", logits)}
        else:
            which, other = partners(batch["kind"])
            wrong = self.discriminate(image[other], batch["condition"][which])
            terms = super().discriminator_terms(batch, fake)
        return {**terms, "loss/wrong_text": self.wrong_weight * losses.wrong_pairs(wrong, self.fake_target)}

    @override
    def generator_objective(self, batch: Batch) -> dict[str, Tensor]:
        if not self.matching_weight:
            return super().generator_objective(batch)
        batch = {**batch, "fake": self.generate(batch)}
        terms, logits = self.with_logits(partial(super().generator_objective, batch), batch["fake"], batch["texts"])
        return {**terms, **self.matching_terms("generator", logits)}

    # An image is looked at once: what D says of it with wrong texts is kept when it is asked about the own one

    def with_logits(self, terms: Callable[[], dict[str, Tensor]], x: Tensor, texts: Tensor) -> tuple[Any, Tensor]:
        """A player's terms, and logits ``(N, 1 + K)`` of the images x: kept ones, unless the terms had none to keep."""
        self.texts, self.logits = texts, None
        try:
            found, kept = terms(), self.logits
        finally:
            self.texts = self.logits = None
        return found, self.discriminate(x, texts) if kept is None else kept

    def own_logits(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Of images with their own texts, ``(N,)``."""
        if self.texts is None:
            return self.discriminate(x, condition)
        self.logits = self.discriminate(x, self.texts)
        return self.logits[:, 0]

    @override
    def discriminator_logits(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.own_logits(real, condition), self.discriminate(fake, condition)

    @override
    def generator_logits(self, fake: Tensor, condition: Tensor | None) -> Tensor:
        return self.own_logits(fake, condition)

    def matching_terms(self, player: str, logits: Tensor) -> dict[str, Tensor]:
        """Of logits ``(N, 1 + K)`` of images with their own texts and with wrong ones."""
        weight = self.matching_weight
        return {f"loss/matching_{player}": weight * losses.matching(logits)} if weight else {}
