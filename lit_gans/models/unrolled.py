"""Unrolled Generative Adversarial Networks (Metz, Poole, Pfau, Sohl-Dickstein, ICLR 2017, arXiv 1611.02163).

The generator looks some discriminator steps ahead: it does not run after the modes that the discriminator has not
learnt to tell yet. In the settings of the paper's ring of Gaussians (section 3.1, appendix A): a large latent space, a
discriminator of one hidden layer that sees a quarter of the coordinates, small orthogonal initial weights.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.mixins.unrolled import Unrolled
from lit_gans.models.mlp_gan import MLPGAN

ADAM = {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.999]}


class UnrolledGAN(Unrolled, MLPGAN):
    """min_G f(G, D^k(G, D)), min_D of the ordinary loss.

    f is -E log s(D(G(z))), or E log(1 - s(D(G(z)))) if ``saturating``, s the sigmoid.

    Args:
        unrolled_steps: k, the steps that the generator looks ahead.
        saturating: the generator's objective is that of the zero-sum game.
        latent_dim: as of :class:`lit_gans.GAN`.
        discriminator_hidden: as of :class:`lit_gans.models.MLPGAN`.
        input_scale: likewise.
        orthogonal_gain: likewise.
        generator_optimizer: as of :class:`lit_gans.GAN`.
        discriminator_optimizer: likewise.
        rest: options of :class:`lit_gans.mixins.Unrolled` and :class:`lit_gans.models.MLPGAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        unrolled_steps: int = 10,
        saturating: bool = False,
        latent_dim: int = 256,
        discriminator_hidden: list[int] | None = None,
        input_scale: float = 0.25,
        orthogonal_gain: float | None = 0.8,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(
            unrolled_steps=unrolled_steps,
            latent_dim=latent_dim,
            discriminator_hidden=discriminator_hidden or [128],
            input_scale=input_scale,
            orthogonal_gain=orthogonal_gain,
            generator_optimizer=generator_optimizer or ADAM,
            discriminator_optimizer=discriminator_optimizer or ADAM,
            **rest,
        )
        self.saturating = saturating

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        if not self.saturating:
            return super().generator_loss(real, fake, condition)
        return losses.minimax_generator_loss(self.generator_logits(fake, condition))
