"""The relativistic discriminator: a key element missing from standard GAN (Jolicoeur-Martineau, ICLR 2019).

arXiv 1807.00734. D(x) does not say how real a sample is but how much more real than another; so the generator, too,
has to do with the real samples.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.gan import GAN


class Relativistic(GAN):
    """-E log s(D(x) - D(G(z))) and the same with the roles swapped for the model's losses, s the sigmoid (section 4).

    Args:
        relativistic_average: compare each logit with the mean of the other kind (RaSGAN) instead of with that of its
            partner in the batch (RSGAN). The mean is that of one device's batch, or of its part.
        rest: options of the model.
    """

    has_labels = False

    def __init__(self, *, relativistic_average: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.relativistic_average = relativistic_average

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        average, pairs = losses.rasgan_discriminator_loss, losses.rpgan_discriminator_loss
        loss = average if self.relativistic_average else pairs
        return loss(*self.discriminator_logits(real, fake, condition))

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        loss = losses.rasgan_generator_loss if self.relativistic_average else losses.rpgan_generator_loss
        return loss(self.discriminate(real, condition), self.generator_logits(fake, condition))
