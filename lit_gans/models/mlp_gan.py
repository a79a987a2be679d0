"""Generative Adversarial Nets (Goodfellow et al., NeurIPS 2014, arXiv 1406.2661), fully connected.

For points in the plane and other small samples. The non-saturating generator loss of the paper's section 3; rectifiers
in both networks where the paper's discriminator has maxout.
"""

from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from lit_gans import losses
from lit_gans.gan import GAN
from lit_gans.networks.mlp import MLPDiscriminator, MLPGenerator


class MLPGAN(GAN):
    """min_D -E log s(D(x)) - E log(1 - s(D(G(z)))), min_G -E log s(D(G(z))), s the sigmoid.

    Args:
        sample_shape: of one sample, without N.
        generator_hidden: widths of the generator's hidden layers.
        discriminator_hidden: widths of the discriminator's hidden layers.
        input_scale: the discriminator multiplies samples by it.
        rest: options of :class:`lit_gans.GAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    has_labels = True

    def __init__(
        self,
        *,
        sample_shape: list[int] | None = None,
        generator_hidden: list[int] | None = None,
        discriminator_hidden: list[int] | None = None,
        input_scale: float = 1.0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.sample_shape = tuple(sample_shape or (2,))
        self.generator_hidden = generator_hidden or [128, 128]
        self.discriminator_hidden = discriminator_hidden or [128, 128]
        self.input_scale = input_scale

    @override
    def build_generator(self) -> nn.Module:
        return MLPGenerator(self.latent_dim, self.sample_shape or (), self.generator_hidden)

    @override
    def build_discriminator(self) -> nn.Module:
        return MLPDiscriminator(self.sample_shape or (), self.discriminator_hidden, self.input_scale)

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminate(real, condition), self.discriminate(fake, condition)
        return losses.gan_discriminator_loss(real_logits, fake_logits, self.real_target)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.non_saturating_generator_loss(self.discriminate(fake, condition))
