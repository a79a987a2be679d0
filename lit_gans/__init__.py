"""GANs and their stabilising tricks as PyTorch Lightning modules."""

from lit_gans.checkpoint import load
from lit_gans.compose import compose
from lit_gans.game import Batch, Game, Player
from lit_gans.gan import GAN

__all__ = ["GAN", "Batch", "Game", "Player", "compose", "load"]
__version__ = "0.1.0"
