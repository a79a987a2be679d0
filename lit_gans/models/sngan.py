"""Spectral Normalization for Generative Adversarial Networks (Miyato et al., ICLR 2018, arXiv 1802.05957).

Every weight matrix of the discriminator is divided by its largest singular value, so that its slope is bounded; hinge
loss; the paper's standard CNN or its ResNet. With ``num_classes`` the generator has class-conditional batch norm and
the discriminator a projection of the class (Miyato & Koyama, ICLR 2018, arXiv 1802.05637).
"""

from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from lit_gans import losses
from lit_gans.mixins.spectral_norm import SpectralNorm
from lit_gans.models.dcgan import DCGAN
from lit_gans.networks import sngan

NETWORKS = {
    "cnn": (sngan.CNNGenerator, sngan.cnn_discriminator),
    "resnet": (sngan.ResNetGenerator, sngan.resnet_discriminator),
}


class SNGAN(SpectralNorm, DCGAN):
    """min_D E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), min_G -E D(G(z)) (arXiv 1802.05957, eq. 16 and 17).

    Args:
        network: ``cnn``, the standard CNN of Table 3, or ``resnet``, that of Table 4 for 32 pixels.
        image_size: a multiple of 8, at least 16.
        discriminator_norm: ``none``, unless ``spectral_norm_discriminator`` is off.
        rest: options of :class:`lit_gans.mixins.SpectralNorm` and :class:`lit_gans.models.DCGAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    has_labels = False

    def __init__(
        self,
        *,
        network: str = "cnn",
        image_size: int = 32,
        latent_dim: int = 128,
        discriminator_norm: str = "none",
        **rest: Any,
    ) -> None:
        super().__init__(image_size=image_size, latent_dim=latent_dim, discriminator_norm=discriminator_norm, **rest)
        if network not in NETWORKS:
            raise ValueError(f"There is no network called {network!r}. Possible: {', '.join(NETWORKS)}.")
        self.network = network

    @override
    def build_generator(self) -> nn.Module:
        size, channels = self.image_size, self.image_channels
        generator = NETWORKS[self.network][0]
        return generator(self.latent_dim, size, channels, self.width, self.generator_norm, self.num_classes)

    @override
    def build_discriminator(self) -> nn.Module:
        channels, size, _ = self.discriminator_shape
        discriminator = NETWORKS[self.network][1]
        return discriminator(size, channels, self.width, self.discriminator_norm, self.num_classes)

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.hinge_discriminator_loss(real_logits, fake_logits)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.hinge_generator_loss(self.generator_logits(fake, condition))
