"""Images of texts: what a model that makes them does with captions, whatever its game."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.data.base import DataModule
from lit_gans.data.captions import told
from lit_gans.data.samples import Samples
from lit_gans.game import Batch
from lit_gans.sampler import REMEMBERED_CONDITIONS, Sampler
from lit_gans.text import CharCNN, build_encoder, embed


class FromTexts(Sampler):
    """Its condition is the embedding of a text, ``(N, E)``; data modules hand it out, by this model's own encoder.

    Of a batch it sees ``text`` ``(N, E)`` and ``kind`` ``(N,)``: samples of one kind fit each other's texts. Where a
    batch has labels alone, the text of a class is its number.

    Args:
        text_encoder: ``{"name": "bag_of_words"}``; see :mod:`lit_gans.text`.
        rest: options of the model.

    Attributes:
        encoder: of texts.
        remembered_captions: some of the data's, for samples that are asked for without any.
    """

    def __init__(self, *, text_encoder: dict[str, Any] | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self.encoder = build_encoder(text_encoder or {"name": "bag_of_words"})
        self.remembered_captions: list[str] = []

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embeddings ``(N, E)`` of texts, on the CPU."""
        return embed(self.encoder, texts)

    def embeddings_of(self, samples: Samples) -> Tensor:
        """Those of all captions of a data set, which an encoder that is not frozen learns from first."""
        assert samples.captions is not None
        if isinstance(self.encoder, CharCNN) and not self.encoder.fitted:
            self.encoder.fit(samples.images, samples.captions)
        return self.encode(samples.captions.texts)

    @override
    def check_data(self, data: Any) -> None:
        super().check_data(data)
        if not isinstance(data, DataModule):
            return
        data.read_captions(self.embeddings_of)
        captions = data.train_dataset.captions
        if captions is None:
            raise ValueError(
                f"{type(self).__name__} learns from captions, or from the names of classes, and the data have neither: "
                "use data=shapes, data=captioned, or data with classes."
            )
        if bare := int((captions.kinds < 0).sum()):
            raise ValueError(
                f"{type(self).__name__} learns from texts that images do not fit, and {bare:,} images have no class "
                "that would tell: leave them out, and data.num_labelled with them."
            )
        if not self.remembered_captions:
            some = torch.linspace(0, len(captions) - 1, min(REMEMBERED_CONDITIONS, len(captions))).long()
            self.remembered_captions = list(dict.fromkeys(captions[index][0] for index in some.tolist()))
            self.remembered_conditions = self.encode(self.remembered_captions)

    @override
    def prepare(self, batch: Batch) -> Batch:
        if "text" not in batch and "texts" in batch:  # samples of a data set, of which nothing was drawn yet
            texts = batch["texts"]
            batch = {**batch, "text": told(texts, torch.arange(texts.shape[1]).expand(len(texts), -1))}
        if "text" not in batch:
            if "label" not in batch:
                raise ValueError("A batch needs `text`, the embeddings (N, E) of what its images show, or `label`.")
            numbers, of = torch.unique(batch["label"], return_inverse=True)
            names = self.encode([str(number) for number in numbers.tolist()])
            batch = {**batch, "text": names.to(batch["label"].device)[of], "kind": batch["label"]}
        batch = {"kind": torch.arange(len(batch["image"]), device=batch["image"].device), **batch}
        return super().prepare({**batch, "text": batch["text"].to(self.float_type)})

    @override
    def condition(self, batch: Batch) -> Tensor:
        return batch["text"]

    @override
    def remember(self, condition: Tensor | None) -> None:
        if not self.remembered_captions:
            super().remember(condition)

    # Use

    @torch.no_grad()
    def sample(self, n: int | None = None, *, captions: str | Sequence[str] | None = None, **given: Any) -> Tensor:
        """As :meth:`lit_gans.Sampler.sample`; of ``captions`` one image each, or ``n`` in turn."""
        if captions is not None:
            texts = [captions] if isinstance(captions, str) else list(captions)
            if not texts:
                raise ValueError("There is no caption: give one or more, or leave captions out for some of the data's.")
            n = len(texts) if n is None else n
            given["condition"] = self.encode(texts)[torch.arange(n) % len(texts)]
        return super().sample(1 if n is None else n, **given)

    def interpolate(self, first: str, second: str, steps: int = 8, *, latent: Tensor | None = None) -> Tensor:
        """Images of one latent on the way from a text to another, whose embeddings are mixed linearly.

        Reed et al. (ICML 2016, arXiv 1605.05396, section 4.3) train on such mixtures; StackGAN looks at them alone.

        Args:
            first: the text of the first image.
            second: that of the last.
            steps: images, at least 2.
            latent: ``(1, ...)``; drawn from the prior if not given.

        Returns:
            ``(steps, C, H, W)`` in [-1, 1].
        """
        if steps < 2:
            raise ValueError(f"There are at least 2 images from one text to another, not {steps}.")
        ends, share = self.encode([first, second]), torch.linspace(0, 1, steps)[:, None]
        latent = self.sample_latent(1) if latent is None else latent
        return self.sample(steps, latent=latent.expand(steps, -1), condition=torch.lerp(ends[:1], ends[1:], share))

    def captions_of(self, condition: Tensor) -> list[str]:
        """The remembered captions whose embeddings are nearest to these ``(N, E)``; none where there are none."""
        if not self.remembered_captions or self.remembered_conditions is None:
            return []
        nearest = torch.cdist(condition.cpu().float(), self.remembered_conditions.float()).argmin(1)
        return [self.remembered_captions[index] for index in nearest.tolist()]

    # Lightning

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["remembered_captions"] = self.remembered_captions

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.remembered_captions = checkpoint["remembered_captions"]
