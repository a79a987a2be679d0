"""Virtual batch normalization: Improved Techniques for Training GANs (Salimans et al. 2016, arXiv 1606.03498)."""

from functools import partial
from typing import Any

import torch
from typing_extensions import override

from lit_gans.conditions import check_unconditional
from lit_gans.gan import GAN
from lit_gans.layers import virtual_batch_norm as layers


class VirtualBatchNorm(GAN):
    """The generator normalizes each sample by a reference batch, chosen once, and by the sample itself.

    The formula (arXiv 1606.03498, section 3.5) is that of :mod:`lit_gans.layers.virtual_batch_norm`. It takes the place
    of the generator's batch norm, or of none. The reference batch is drawn from the prior; where classes condition the
    generator, it has them in turn. It is a part of the generator, and so of checkpoints and averages.

    Args:
        vbn_reference: B, the size of the reference batch, which every pass computes besides its own.
        rest: options of the model.

    Raises:
        ValueError: if ``vbn_reference`` is below 1, or the generator has another normalization or no place for one.
    """

    def __init__(self, *, vbn_reference: int = 64, **rest: Any) -> None:
        super().__init__(**rest)
        if vbn_reference < 1:
            raise ValueError(f"vbn_reference must be at least 1, got {vbn_reference}.")
        if self.generator_norm not in ("batch", "none", "virtual"):
            raise ValueError(
                f"virtual_batch_norm and {self.generator_norm} norm would be two normalizations of one network, the "
                "generator: set model.generator_norm=none, or tricks.virtual_batch_norm=null."
            )
        self.vbn_reference, self.generator_norm = vbn_reference, "virtual"

    @override
    def build(self) -> None:
        super().build()
        latent = self.keyed(partial(self.sample_latent, self.vbn_reference), "vbn_reference")
        classes = getattr(self, "num_classes", 0)
        condition = torch.arange(self.vbn_reference) % classes if classes else None
        self.generator = layers.WithReference(self.generator, latent, condition)

    @override
    def check(self) -> None:
        super().check()
        if not any(isinstance(module, layers.VirtualBatchNorm) for module in self.generator.modules()):
            raise ValueError(
                "virtual_batch_norm takes the place of the generator's batch norm, and this model's generator has "
                "none: use model=dcgan, or leave it out."
            )
        if not getattr(self, "num_classes", 0):
            check_unconditional(self, "virtual_batch_norm has its reference batch before there are data for it")
