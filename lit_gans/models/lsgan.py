"""Least Squares Generative Adversarial Networks (Mao et al., ICCV 2017, arXiv 1611.04076), on the networks of DCGAN.

Squares pull samples that are far from their label, on whichever side, where the cross-entropy of one that is judged
right is flat.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.models.dcgan import DCGAN


class LSGAN(DCGAN):
    """min_D 1/2 E(D(x) - b)^2 + 1/2 E(D(G(z)) - a)^2, min_G 1/2 E(D(G(z)) - c)^2 (arXiv 1611.04076, eq. 2).

    Args:
        pearson: a, b, c = -1, 1, 0, which minimises a Pearson chi-squared divergence; otherwise 0, 1, 1.
        rest: options of :class:`lit_gans.models.DCGAN`.
    """

    def __init__(self, *, pearson: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.fake_target, self.generator_target = (-1.0, 0.0) if pearson else (0.0, 1.0)

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.least_squares_discriminator_loss(real_logits, fake_logits, self.real_target, self.fake_target)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.least_squares_generator_loss(self.generator_logits(fake, condition), self.generator_target)
