"""Dropout in the generator: Image-to-Image Translation with Conditional Adversarial Networks (Isola et al. 2017).

arXiv 1611.07004, section 2.2.1: noise in several layers, in training and at test time.
"""

from typing import Any

from torch import nn
from typing_extensions import override

from lit_gans.gan import GAN
from lit_gans.layers.dropout import Dropout, add_dropout


class GeneratorDropout(GAN):
    """Dropout after every hidden activation of the generator.

    Args:
        generator_dropout_p: the probability that a feature is dropped, in [0, 1).
        generator_dropout_at_sampling: drop in eval mode too, as in the paper: ``sample`` then draws noise besides the
            latents.
        rest: options of the model.

    Raises:
        ValueError: if ``generator_dropout_p`` is out of its range, or the generator has no activation layers.
    """

    def __init__(
        self, *, generator_dropout_p: float = 0.5, generator_dropout_at_sampling: bool = False, **rest: Any
    ) -> None:
        super().__init__(**rest)
        if not 0 <= generator_dropout_p < 1:
            raise ValueError(f"generator_dropout_p must be at least 0 and below 1, got {generator_dropout_p}.")
        self.generator_dropout_p, self.generator_dropout_at_sampling = (
            generator_dropout_p,
            generator_dropout_at_sampling,
        )

    @override
    def build_generator(self) -> nn.Module:
        network = super().build_generator()
        add_dropout(network, self.generator_dropout_p, self.generator_dropout_at_sampling)
        return network

    @override
    def check(self) -> None:
        super().check()
        if not any(isinstance(module, Dropout) for module in self.generator.modules()):
            raise ValueError(
                "generator_dropout follows the activation layers of the generator, and this one has none: give it "
                "hidden layers, or leave it out."
            )
