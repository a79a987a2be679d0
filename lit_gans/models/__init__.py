"""One paper, one file."""

from lit_gans.models.dcgan import DCGAN
from lit_gans.models.dragan import DRAGAN
from lit_gans.models.lapgan import LAPGAN
from lit_gans.models.lsgan import LSGAN
from lit_gans.models.mlp_gan import MLPGAN
from lit_gans.models.r3gan import R3GAN
from lit_gans.models.rsgan import RSGAN
from lit_gans.models.semi_supervised import SemiSupervisedGAN
from lit_gans.models.sngan import SNGAN
from lit_gans.models.stackgan import StackGAN
from lit_gans.models.stackgan_pp import StackGANPP
from lit_gans.models.unrolled import UnrolledGAN
from lit_gans.models.wgan import WGAN
from lit_gans.models.wgan_gp import WGANGP

__all__ = [
    "DCGAN",
    "DRAGAN",
    "LAPGAN",
    "LSGAN",
    "MLPGAN",
    "R3GAN",
    "RSGAN",
    "SNGAN",
    "WGAN",
    "WGANGP",
    "SemiSupervisedGAN",
    "StackGAN",
    "StackGANPP",
    "UnrolledGAN",
]
