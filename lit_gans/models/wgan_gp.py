"""Improved Training of Wasserstein GANs (Gulrajani et al., NeurIPS 2017, arXiv 1704.00028).

A critic whose gradient norm is held near 1 estimates the Wasserstein distance that the generator descends: five critic
turns for each of the generator's, no batch norm in the critic. On the networks of DCGAN.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.mixins.wgan_gp import GradientPenalty
from lit_gans.models.dcgan import DCGAN


class WGANGP(GradientPenalty, DCGAN):
    """min_D E D(G(z)) - E D(x) + lambda E(||grad D||_2 - 1)^2, min_G -E D(G(z)) (arXiv 1704.00028, algorithm 1).

    Args:
        n_critic: critic turns for each generator turn.
        discriminator_norm: anything but ``batch``.
        rest: options of :class:`lit_gans.mixins.GradientPenalty` and :class:`lit_gans.models.DCGAN`.
    """

    has_labels = False

    def __init__(self, *, n_critic: int = 5, discriminator_norm: str = "none", **rest: Any) -> None:
        super().__init__(n_critic=n_critic, discriminator_norm=discriminator_norm, **rest)

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.wasserstein_discriminator_loss(real_logits, fake_logits)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.wasserstein_generator_loss(self.generator_logits(fake, condition))
