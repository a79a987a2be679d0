"""On Convergence and Stability of GANs (Kodali, Abernethy, Hays, Kira, 2017, arXiv 1705.07215): DRAGAN's penalty.

The penalty alone, for any loss; the model ``dragan`` has it together with the paper's loss and without batch norm.
"""

from functools import partial
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import penalties
from lit_gans.gan import GAN
from lit_gans.layers.coupling import check_samples_apart


class DRAGANPenalty(GAN):
    """lambda E(||grad D(x)||_2 - 1)^2 around real samples (arXiv 1705.07215, section 2.4).

    The neighbourhood is that of the released code, :func:`lit_gans.penalties.dragan`; the paper's has Gaussian noise.

    Args:
        dragan_weight: lambda, at least 0.
        rest: options of the model.

    Raises:
        ValueError: if ``dragan_weight`` is negative, or the discriminator couples the samples of a batch.
    """

    def __init__(self, *, dragan_weight: float = 10.0, **rest: Any) -> None:
        super().__init__(**rest)
        if dragan_weight < 0:
            raise ValueError(f"dragan_weight must be at least 0, got {dragan_weight}.")
        self.dragan_weight = dragan_weight

    @override
    def check(self) -> None:
        super().check()
        check_samples_apart(self.discriminator, "dragan")

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        term = penalties.dragan(partial(self.discriminate, condition=condition), real)
        return super().discriminator_penalty(real, fake, condition) + self.dragan_weight * term
