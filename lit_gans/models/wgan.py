"""Wasserstein GAN (Arjovsky, Chintala, Bottou, ICML 2017, arXiv 1701.07875).

A critic with bounded weights is Lipschitz, and the best such critic measures the Wasserstein distance, up to a factor,
that the generator descends: five critic turns for each of the generator's, and no momentum. On the networks of DCGAN.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.mixins.weight_clipping import WeightClipping
from lit_gans.models.dcgan import DCGAN

RMSPROP = {"name": "rmsprop", "lr": 5e-5}


class WGAN(WeightClipping, DCGAN):
    """min_D E D(G(z)) - E D(x) with all weights of D in [-c, c], min_G -E D(G(z)) (arXiv 1701.07875, algorithm 1).

    Args:
        n_critic: critic turns for each generator turn.
        generator_optimizer: RMSprop with rate 5e-5 if not given.
        discriminator_optimizer: likewise.
        rest: options of :class:`lit_gans.mixins.WeightClipping` and :class:`lit_gans.models.DCGAN`.
    """

    has_labels = False

    def __init__(
        self,
        *,
        n_critic: int = 5,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(
            n_critic=n_critic,
            generator_optimizer=generator_optimizer or RMSPROP,
            discriminator_optimizer=discriminator_optimizer or RMSPROP,
            **rest,
        )

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.wasserstein_discriminator_loss(real_logits, fake_logits)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.wasserstein_generator_loss(self.generator_logits(fake, condition))
