"""Real samples and fakes in one batch of the discriminator, so that they share their batch statistics.

Radford et al. (ICLR 2016, arXiv 1511.06434) and most code since give the discriminator a batch of each kind, with
statistics of its own; one batch of both leaves it nothing to read off their difference in mean and scale.
"""

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.gan import GAN


class JointBatch(GAN):
    """The discriminator's turn judges real samples and fakes in one pass, 2N samples with one set of statistics.

    Without batch statistics the logits are those of two passes. The generator's turn is left as it is.

    Raises:
        ValueError: at construction, if the discriminator compares samples, which must then be of one source.
    """

    @override
    def check(self) -> None:
        super().check()
        found = [getattr(module, "couples_samples", None) for module in self.discriminator.modules()]
        names = [name for name, _ in filter(None, found)]
        if names:
            raise ValueError(
                f"joint_batch mixes real samples and fakes in one batch, and {names[0]} compares the samples of a "
                "batch, which must be of one source: tricks.joint_batch=null, or leave the other out."
            )

    @override
    def discriminator_logits(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        twice = None if condition is None else torch.cat([condition, condition])
        real_logits, fake_logits = self.discriminate(torch.cat([real, fake]), twice).chunk(2)
        return real_logits, fake_logits
