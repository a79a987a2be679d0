"""Generative Adversarial Nets (Goodfellow et al., NeurIPS 2014, arXiv 1406.2661), fully connected.

For points in the plane and other small samples. The non-saturating generator loss of the paper's section 3; rectifiers
in both networks where the paper's discriminator has maxout.
"""

from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from lit_gans import losses
from lit_gans.gan import GAN
from lit_gans.networks.mlp import MLPDiscriminator, MLPGenerator, initialize


class MLPGAN(GAN):
    """min_D -E log s(D(x)) - E log(1 - s(D(G(z)))), min_G -E log s(D(G(z))), s the sigmoid.

    Args:
        sample_shape: of one sample, without N.
        generator_hidden: widths of the generator's hidden layers.
        discriminator_hidden: widths of the discriminator's hidden layers.
        generator_norm: ``batch``, ``layer``, ``group`` or ``none``.
        discriminator_norm: likewise.
        input_scale: the discriminator multiplies samples by it.
        orthogonal_gain: of orthogonal initial weights, with biases 0; None for torch's own initial weights.
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
        generator_norm: str = "none",
        discriminator_norm: str = "none",
        input_scale: float = 1.0,
        orthogonal_gain: float | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.sample_shape = tuple(sample_shape or (2,))
        self.generator_hidden = generator_hidden or [128, 128]
        self.discriminator_hidden = discriminator_hidden or [128, 128]
        self.generator_norm, self.discriminator_norm = generator_norm, discriminator_norm
        self.input_scale, self.orthogonal_gain = input_scale, orthogonal_gain

    @override
    def build_generator(self) -> nn.Module:
        network = MLPGenerator(self.latent_dim, self.sample_shape or (), self.generator_hidden, self.generator_norm)
        initialize(network, self.orthogonal_gain)
        return network

    @override
    def build_discriminator(self) -> nn.Module:
        shape, hidden = self.discriminator_shape, self.discriminator_hidden
        network = MLPDiscriminator(shape, hidden, self.discriminator_norm, self.input_scale)
        initialize(network, self.orthogonal_gain)
        return network

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.gan_discriminator_loss(real_logits, fake_logits, self.real_target, self.fake_target)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.non_saturating_generator_loss(self.generator_logits(fake, condition))
