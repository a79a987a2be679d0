"""Stabilising tricks: one paper, one file, each a subclass of :class:`lit_gans.GAN` that goes with any model."""

from lit_gans.mixins.checkpoint_replay import CheckpointReplay
from lit_gans.mixins.historical_averaging import HistoricalAveraging
from lit_gans.mixins.label_smoothing import OneSidedLabelSmoothing
from lit_gans.mixins.r1 import R1Penalty
from lit_gans.mixins.replay import ExperienceReplay
from lit_gans.mixins.unrolled import Unrolled
from lit_gans.mixins.wgan_gp import GradientPenalty

__all__ = [
    "CheckpointReplay",
    "ExperienceReplay",
    "GradientPenalty",
    "HistoricalAveraging",
    "OneSidedLabelSmoothing",
    "R1Penalty",
    "Unrolled",
]
