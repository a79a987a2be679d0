"""Improved Training of Wasserstein GANs (Gulrajani et al., NeurIPS 2017, arXiv 1704.00028): the gradient penalty.

The penalty alone, for any loss; the model ``wgan_gp`` has it together with the Wasserstein loss.
"""

from functools import partial
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import penalties
from lit_gans.gan import GAN
from lit_gans.layers.coupling import check_samples_apart


class GradientPenalty(GAN):
    """lambda E(||grad D(x)||_2 - 1)^2 between real and fake samples (arXiv 1704.00028, eq. 3).

    Args:
        gp_weight: lambda, at least 0; 10 in the paper, 0.1 for its two-dimensional examples.
        gp_one_sided: penalise only norms above 1.
        rest: options of the model.

    Raises:
        ValueError: if ``gp_weight`` is negative, or the discriminator couples the samples of a batch.
    """

    def __init__(self, *, gp_weight: float = 10.0, gp_one_sided: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        if gp_weight < 0:
            raise ValueError(f"gp_weight must be at least 0, got {gp_weight}.")
        self.gp_weight, self.gp_one_sided = gp_weight, gp_one_sided

    @override
    def check(self) -> None:
        super().check()
        check_samples_apart(self.discriminator, "wgan_gp")

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        critic = partial(self.discriminate, condition=condition)
        term = penalties.gradient_penalty(critic, real, fake, one_sided=self.gp_one_sided)
        return super().discriminator_penalty(real, fake, condition) + self.gp_weight * term
