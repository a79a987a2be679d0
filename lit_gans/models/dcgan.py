"""Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz, Chintala, ICLR 2016).

arXiv 1511.06434. Convolutions throughout, no pooling, no hidden fully connected layers, batch norm in both networks.
Here in the form of the well-known PyTorch networks: 4x4 kernels, Gaussian latents, one fake batch for both turns. With
``num_classes`` the labels join every layer of both networks, as in the paper's conditional MNIST model.
"""

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans import losses
from lit_gans.game import Batch
from lit_gans.gan import GAN
from lit_gans.networks.dcgan import DCGANDiscriminator, DCGANGenerator


class DCGAN(GAN):
    """min_D -E log s(D(x)) - E log(1 - s(D(G(z)))), min_G -E log s(D(G(z))), s the sigmoid.

    Args:
        image_size: 16, 32, 64 or 128 pixels.
        image_channels: 1 or 3.
        width: channels of the layer next to the image at 64 pixels, for both networks.
        generator_norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``.
        discriminator_norm: likewise.
        num_classes: 0 for no condition; else the data's labels, in [0, num_classes), condition both networks.
        rest: options of :class:`lit_gans.GAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    has_labels = True

    def __init__(
        self,
        *,
        image_size: int = 64,
        image_channels: int = 3,
        width: int = 64,
        generator_norm: str = "batch",
        discriminator_norm: str = "batch",
        num_classes: int = 0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.image_size, self.image_channels, self.width = image_size, image_channels, width
        self.generator_norm, self.discriminator_norm = generator_norm, discriminator_norm
        self.num_classes = num_classes
        self.sample_shape = (image_channels, image_size, image_size)

    @override
    def build_generator(self) -> nn.Module:
        size, channels = self.image_size, self.image_channels
        return DCGANGenerator(self.latent_dim, size, channels, self.width, self.generator_norm, self.num_classes)

    @override
    def build_discriminator(self) -> nn.Module:
        channels, size, _ = self.discriminator_shape
        return DCGANDiscriminator(size, channels, self.width, self.discriminator_norm, self.num_classes)

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.gan_discriminator_loss(real_logits, fake_logits, self.real_target, self.fake_target)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.non_saturating_generator_loss(self.generator_logits(fake, condition))

    @override
    def condition(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.num_classes else None

    @torch.no_grad()
    def sample(self, n: int, *, label: int | Tensor | None = None, **given: Any) -> Tensor:
        """As :meth:`lit_gans.GAN.sample`; ``label`` is one class for all, or ``(n,)``."""
        if label is not None:
            given["condition"] = torch.as_tensor(label).expand(n)
        return super().sample(n, **given)
