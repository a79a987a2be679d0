"""The relativistic discriminator: a key element missing from standard GAN (Jolicoeur-Martineau, ICLR 2019).

arXiv 1807.00734. The objective of the trick ``relativistic`` on the networks of DCGAN: RSGAN, which compares pairs, or
RaSGAN, which compares with the other kind's average.
"""

from lit_gans.mixins.relativistic import Relativistic
from lit_gans.models.dcgan import DCGAN


class RSGAN(Relativistic, DCGAN):
    """min_D -E log s(D(x) - D(G(z))), min_G -E log s(D(G(z)) - D(x)), s the sigmoid (arXiv 1807.00734, section 4)."""
