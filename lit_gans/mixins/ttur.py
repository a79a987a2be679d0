"""TTUR: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al. 2017).

arXiv 1706.08500. The theory wants the discriminator to learn faster than the generator. The rates that became usual,
1e-4 and 4e-4, are those of Self-Attention GANs (Zhang et al. 2019, arXiv 1805.08318).
"""

from typing import Any

from lit_gans.gan import GAN


class TTUR(GAN):
    """A learning rate for each player, one turn each (arXiv 1706.08500, section 2).

    Args:
        ttur_generator_lr: above 0; None leaves the rate of ``generator_optimizer``.
        ttur_discriminator_lr: likewise.
        rest: options of the model.

    Raises:
        ValueError: if a rate is not above 0.
    """

    def __init__(
        self, *, ttur_generator_lr: float | None = 1e-4, ttur_discriminator_lr: float | None = 4e-4, **rest: Any
    ) -> None:
        super().__init__(**rest)
        for player, rate in (("generator", ttur_generator_lr), ("discriminator", ttur_discriminator_lr)):
            if rate is not None and rate <= 0:
                raise ValueError(f"ttur_{player}_lr must be above 0, or null for the optimizer's own rate, got {rate}.")
        # Dictionaries of their own: those that were given stay what the checkpoint says.
        if ttur_generator_lr is not None:
            self.generator_optimizer = {**self.generator_optimizer, "lr": ttur_generator_lr}
        if ttur_discriminator_lr is not None:
            self.discriminator_optimizer = {**self.discriminator_optimizer, "lr": ttur_discriminator_lr}
