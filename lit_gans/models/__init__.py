"""One paper, one file."""

from lit_gans.models.dcgan import DCGAN
from lit_gans.models.mlp_gan import MLPGAN
from lit_gans.models.unrolled import UnrolledGAN
from lit_gans.models.wgan_gp import WGANGP

__all__ = ["DCGAN", "MLPGAN", "UnrolledGAN", "WGANGP"]
