"""Scores of generated images: extractors by name, FID and KID of their features, a reader of digits."""

from lit_gans.metrics.digits import DigitsClassifier, class_shares, confident_share
from lit_gans.metrics.extractors import FeatureExtractor, build_extractor
from lit_gans.metrics.scores import Scores, Statistics

__all__ = [
    "DigitsClassifier",
    "FeatureExtractor",
    "Scores",
    "Statistics",
    "build_extractor",
    "class_shares",
    "confident_share",
]
