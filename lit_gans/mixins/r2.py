"""R2: Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, ICML 2018, arXiv 1801.04406).

As in R1, the paper weighs the penalty with gamma / 2; its released code has no half, so its 10 is ``r2_gamma=20`` here.
"""

from functools import partial
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import penalties
from lit_gans.gan import GAN
from lit_gans.layers.coupling import check_samples_apart


class R2Penalty(GAN):
    """Zero-centred gradient penalty on fakes: gamma/2 E||grad D(G(z))||^2 (arXiv 1801.04406, eq. 10).

    Args:
        r2_gamma: gamma, at least 0.
        rest: options of the model.

    Raises:
        ValueError: if ``r2_gamma`` is negative, or the discriminator couples the samples of a batch.
    """

    def __init__(self, *, r2_gamma: float = 10.0, **rest: Any) -> None:
        super().__init__(**rest)
        if r2_gamma < 0:
            raise ValueError(f"r2_gamma must be at least 0, got {r2_gamma}.")
        self.r2_gamma = r2_gamma

    @override
    def check(self) -> None:
        super().check()
        check_samples_apart(self.discriminator, "r2")

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        others = super().discriminator_penalty(real, fake, condition)
        return others + self.r2_gamma / 2 * penalties.r2(partial(self.discriminate, condition=condition), fake)
