"""Weight decay as in the code of DCGAN (Radford, Metz, Chintala 2015, arXiv 1511.06434), whose paper leaves it out."""

from typing import Any

from lit_gans.gan import GAN


class WeightDecay(GAN):
    """value/2 ||weights||^2 in an optimizer's gradient (L2, inside Adam's moments), or decoupled with ``adamw``.

    Args:
        weight_decay_value: at least 0; all weights, gains and biases decay.
        weight_decay_generator: whether the generator's do.
        weight_decay_discriminator: whether the discriminator's do.
        rest: options of the model.

    Raises:
        ValueError: if ``weight_decay_value`` is negative.
    """

    def __init__(
        self,
        *,
        weight_decay_value: float = 1e-5,
        weight_decay_generator: bool = True,
        weight_decay_discriminator: bool = True,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if weight_decay_value < 0:
            raise ValueError(f"weight_decay_value must be at least 0, got {weight_decay_value}.")
        # Dictionaries of their own: those that were given stay what the checkpoint says.
        if weight_decay_generator:
            self.generator_optimizer = {**self.generator_optimizer, "weight_decay": weight_decay_value}
        if weight_decay_discriminator:
            self.discriminator_optimizer = {**self.discriminator_optimizer, "weight_decay": weight_decay_value}
