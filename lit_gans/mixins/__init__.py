"""Stabilising tricks: one paper, one file, each a subclass of :class:`lit_gans.GAN` that goes with any model."""

from lit_gans.mixins.label_smoothing import OneSidedLabelSmoothing
from lit_gans.mixins.r1 import R1Penalty
from lit_gans.mixins.wgan_gp import GradientPenalty

__all__ = ["GradientPenalty", "OneSidedLabelSmoothing", "R1Penalty"]
