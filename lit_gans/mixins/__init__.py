"""Stabilising tricks: one paper, one file, each a subclass of :class:`lit_gans.GAN` that goes with any model."""

from lit_gans.mixins.ada import AdaptiveAugmentation
from lit_gans.mixins.checkpoint_replay import CheckpointReplay
from lit_gans.mixins.consistency import ConsistencyRegularization
from lit_gans.mixins.diff_augment import DiffAugment
from lit_gans.mixins.dragan import DRAGANPenalty
from lit_gans.mixins.feature_matching import FeatureMatching
from lit_gans.mixins.generator_dropout import GeneratorDropout
from lit_gans.mixins.generator_turns import GeneratorTurns
from lit_gans.mixins.historical_averaging import HistoricalAveraging
from lit_gans.mixins.instance_noise import InstanceNoise
from lit_gans.mixins.joint_batch import JointBatch
from lit_gans.mixins.label_flipping import LabelFlipping
from lit_gans.mixins.label_smoothing import OneSidedLabelSmoothing
from lit_gans.mixins.lazy import LazyPenalties
from lit_gans.mixins.minibatch_discrimination import MinibatchDiscrimination
from lit_gans.mixins.minibatch_stddev import MinibatchStddev
from lit_gans.mixins.pacgan import PacGAN
from lit_gans.mixins.r1 import R1Penalty
from lit_gans.mixins.r2 import R2Penalty
from lit_gans.mixins.relativistic import Relativistic
from lit_gans.mixins.replay import ExperienceReplay
from lit_gans.mixins.spectral_norm import SpectralNorm
from lit_gans.mixins.top_k import TopK
from lit_gans.mixins.ttur import TTUR
from lit_gans.mixins.unrolled import Unrolled
from lit_gans.mixins.virtual_batch_norm import VirtualBatchNorm
from lit_gans.mixins.weight_clipping import WeightClipping
from lit_gans.mixins.weight_decay import WeightDecay
from lit_gans.mixins.wgan_gp import GradientPenalty

__all__ = [
    "TTUR",
    "AdaptiveAugmentation",
    "CheckpointReplay",
    "ConsistencyRegularization",
    "DRAGANPenalty",
    "DiffAugment",
    "ExperienceReplay",
    "FeatureMatching",
    "GeneratorDropout",
    "GeneratorTurns",
    "GradientPenalty",
    "HistoricalAveraging",
    "InstanceNoise",
    "JointBatch",
    "LabelFlipping",
    "LazyPenalties",
    "MinibatchDiscrimination",
    "MinibatchStddev",
    "OneSidedLabelSmoothing",
    "PacGAN",
    "R1Penalty",
    "R2Penalty",
    "Relativistic",
    "SpectralNorm",
    "TopK",
    "Unrolled",
    "VirtualBatchNorm",
    "WeightClipping",
    "WeightDecay",
]
