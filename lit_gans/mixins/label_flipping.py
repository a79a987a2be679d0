"""Flipped labels: How to Train a GAN? Tips and tricks to make GANs work (Chintala et al., NIPS 2016 workshop), tip 6.

A discriminator that is told wrong now and then is never sure, and goes on to give the generator a gradient.
"""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.gan import GAN


class LabelFlipping(GAN):
    """In the discriminator's loss each pair of a real sample and a fake changes places with a probability.

    So the real one of the pair gets the label of fakes, and the other way round, whatever the loss: a smoothed label
    stays that of its side. Penalties and the generator's loss know no flips.

    Args:
        label_flip_probability: in [0, 1].
        rest: options of the model.

    Raises:
        ValueError: if ``label_flip_probability`` is out of its range.
    """

    def __init__(self, *, label_flip_probability: float = 0.05, **rest: Any) -> None:
        super().__init__(**rest)
        if not 0 <= label_flip_probability <= 1:
            raise ValueError(f"label_flip_probability must be in [0, 1], got {label_flip_probability}.")
        self.label_flip_probability = label_flip_probability

    @override
    def discriminator_logits(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        real_logits, fake_logits = super().discriminator_logits(real, fake, condition)
        shape = (len(real_logits), *[1] * (real_logits.dim() - 1))
        drawn = torch.rand(shape, dtype=torch.float32, device=real_logits.device)
        flipped = drawn < self.label_flip_probability
        return torch.where(flipped, fake_logits, real_logits), torch.where(flipped, real_logits, fake_logits)
