"""Spectral Normalization for Generative Adversarial Networks (Miyato et al., ICLR 2018, arXiv 1802.05957)."""

from functools import partial
from typing import Any

from typing_extensions import override

from lit_gans.gan import GAN
from lit_gans.layers.spectral_norm import normalize_spectrally


class SpectralNorm(GAN):
    """Every weight matrix W of a network is W / s(W), s its largest singular value (arXiv 1802.05957, eq. 8).

    It takes the place of batch norm in the networks it is used on. With activations whose slope is at most 1 each layer
    of such a discriminator has a Lipschitz constant of at most 1, as a matrix.

    Args:
        spectral_norm_discriminator: normalize the discriminator, as the paper does.
        spectral_norm_generator: normalize the generator, as SAGAN and BigGAN do besides.
        spectral_norm_iterations: steps of the power method in each forward pass in training mode.
        rest: options of the model.

    Raises:
        ValueError: if it is used on neither network, or on one that has another normalization.
    """

    def __init__(
        self,
        *,
        spectral_norm_discriminator: bool = True,
        spectral_norm_generator: bool = False,
        spectral_norm_iterations: int = 1,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if not (spectral_norm_discriminator or spectral_norm_generator):
            raise ValueError(
                "spectral_norm is used on neither network: set spectral_norm_discriminator or "
                "spectral_norm_generator to true, or leave it out."
            )
        if spectral_norm_iterations < 1:
            raise ValueError(f"spectral_norm_iterations must be at least 1, got {spectral_norm_iterations}.")
        wanted = {"discriminator": spectral_norm_discriminator, "generator": spectral_norm_generator}
        self.spectral_networks = [name for name, on in wanted.items() if on]
        self.spectral_norm_iterations = spectral_norm_iterations

    @override
    def build(self) -> None:
        for name in self.spectral_networks:
            if (norm := getattr(self, f"{name}_norm")) not in ("batch", "none"):
                way_out = "tricks.virtual_batch_norm=null" if norm == "virtual" else f"set model.{name}_norm=none"
                raise ValueError(
                    f"spectral_norm and {norm} norm would be two normalizations of one network, the {name}: {way_out}, "
                    f"or set spectral_norm_{name}=false."
                )
            setattr(self, f"{name}_norm", "none")
        super().build()
        for name in self.spectral_networks:  # when every other trick has put in its layers
            normalize = partial(normalize_spectrally, getattr(self, name), self.spectral_norm_iterations)
            self.keyed(normalize, "spectral_norm", name)
