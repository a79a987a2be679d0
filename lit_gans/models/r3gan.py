"""The GAN is dead; long live the GAN! A Modern Baseline GAN (Huang et al., NeurIPS 2024, arXiv 2501.05441).

A relativistic pairing loss with zero-centred gradient penalties on real samples and on fakes, in every step, converges
without the tricks of older networks; hence plain residual networks without normalization. Written from the paper.
"""

import math
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from lit_gans.mixins.r1 import R1Penalty
from lit_gans.mixins.r2 import R2Penalty
from lit_gans.mixins.relativistic import Relativistic
from lit_gans.networks.r3gan import R3GANDiscriminator, R3GANGenerator, stage_widths

ADAM = {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.99]}


class R3GAN(Relativistic, R1Penalty, R2Penalty):
    """min_D E log(1 + e^-(D(x) - D(G(z)))) + gamma/2 (R1 + R2), min_G E log(1 + e^-(D(G(z)) - D(x))) (section 2).

    Args:
        image_size: 16, 32, 64, 128 or 256 pixels.
        image_channels: 1 or 3.
        width: channels at the image's resolution; twice as many at each half of it.
        max_width: bounds the channels.
        group_width: channels in a group of the 3x3 convolutions.
        blocks: residual blocks at each resolution.
        expansion: of the channels within a block.
        r1_gamma: gamma of R1, at least 0; the paper has one for both.
        r2_gamma: gamma of R2, at least 0.
        gamma_ramp: updates over which both gammas fall to a tenth, along a cosine; None keeps them.
        latent_dim: as of :class:`lit_gans.GAN`.
        generator_optimizer: Adam with rate 2e-4 and betas (0, 0.99) if not given.
        discriminator_optimizer: likewise.
        rest: options of :class:`lit_gans.mixins.Relativistic` and :class:`lit_gans.GAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        image_size: int = 64,
        image_channels: int = 3,
        width: int = 64,
        max_width: int = 768,
        group_width: int = 16,
        blocks: int = 2,
        expansion: int = 2,
        r1_gamma: float = 2.0,
        r2_gamma: float = 2.0,
        gamma_ramp: int | None = None,
        latent_dim: int = 64,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(
            r1_gamma=r1_gamma,
            r2_gamma=r2_gamma,
            latent_dim=latent_dim,
            generator_optimizer=generator_optimizer or ADAM,
            discriminator_optimizer=discriminator_optimizer or ADAM,
            **rest,
        )
        self.gamma_ramp = gamma_ramp
        self.sample_shape = (image_channels, image_size, image_size)
        self.widths = stage_widths(image_size, width, max_width)
        self.block_options = {"group_width": group_width, "blocks": blocks, "expansion": expansion}

    @override
    def check(self) -> None:
        super().check()
        if self.gamma_ramp is not None and self.gamma_ramp < 1:
            raise ValueError(f"gamma_ramp must be at least 1, or null for constant gammas, got {self.gamma_ramp}.")

    @override
    def build_generator(self) -> nn.Module:
        channels = (self.sample_shape or ())[0]
        return R3GANGenerator(self.latent_dim, channels, self.widths, **self.block_options)

    @override
    def build_discriminator(self) -> nn.Module:
        return R3GANDiscriminator(self.discriminator_shape[0], self.widths, **self.block_options)

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        progress = min(1.0, self.turns_taken["generator"] / self.gamma_ramp) if self.gamma_ramp else 0.0
        share = 0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2
        return share * super().discriminator_penalty(real, fake, condition)

    @override
    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Samples, cut off at -1 and 1: the generator's own, which the discriminator sees, have no bounds."""
        return super().forward(latent, condition).clamp(-1, 1)
