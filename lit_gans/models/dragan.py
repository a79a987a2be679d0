"""On Convergence and Stability of GANs (Kodali, Abernethy, Hays, Kira, 2017, arXiv 1705.07215).

The loss of the first GAN, with a discriminator whose gradient norm is held near 1 around the data alone, where sharp
gradients would go with mode collapse. On the networks of DCGAN, without batch norm in the discriminator.
"""

from typing import Any

from lit_gans.mixins.dragan import DRAGANPenalty
from lit_gans.models.dcgan import DCGAN


class DRAGAN(DRAGANPenalty, DCGAN):
    """DCGAN's game, with lambda E(||grad D(x + noise)||_2 - 1)^2 in the discriminator's turn.

    Args:
        discriminator_norm: anything but ``batch``.
        rest: options of :class:`lit_gans.mixins.DRAGANPenalty` and :class:`lit_gans.models.DCGAN`.
    """

    def __init__(self, *, discriminator_norm: str = "none", **rest: Any) -> None:
        super().__init__(discriminator_norm=discriminator_norm, **rest)
