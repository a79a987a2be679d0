"""R1: Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, ICML 2018, arXiv 1801.04406).

The paper weighs the penalty with gamma / 2 and gamma = 10; its released code has reg_param 10 without the half, which
is ``r1_gamma=20`` here.
"""

from functools import partial
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import penalties
from lit_gans.gan import GAN
from lit_gans.layers.coupling import check_samples_apart


class R1Penalty(GAN):
    """Zero-centred gradient penalty on real samples: gamma/2 E||grad D(x)||^2 (arXiv 1801.04406, eq. 9).

    Args:
        r1_gamma: gamma, at least 0.
        rest: options of the model.

    Raises:
        ValueError: if ``r1_gamma`` is negative, or the discriminator couples the samples of a batch.
    """

    def __init__(self, *, r1_gamma: float = 10.0, **rest: Any) -> None:
        super().__init__(**rest)
        if r1_gamma < 0:
            raise ValueError(f"r1_gamma must be at least 0, got {r1_gamma}.")
        self.r1_gamma = r1_gamma

    @override
    def check(self) -> None:
        super().check()
        if self.r1_gamma:
            check_samples_apart(self.discriminator, "r1")

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        others = super().discriminator_penalty(real, fake, condition)
        if not self.r1_gamma:  # of a stage that goes without
            return others
        return others + self.r1_gamma / 2 * penalties.r1(partial(self.discriminate, condition=condition), real)
