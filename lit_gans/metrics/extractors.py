"""Feature extractors by name: what FID and KID look at instead of pixels. The name goes into the metric's own."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-untyped]
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)
from typing_extensions import override

from lit_gans.metrics.digits import DigitsClassifier

log = logging.getLogger(__name__)

EXTRACTORS = ("digits", "inception")
INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"


class FeatureExtractor(nn.Module):
    """A network from uint8 images ``(N, C, H, W)`` to features ``(N, D)``, in eval mode and frozen.

    Args:
        name: as in ``fid/<name>``.
        network: takes the images, gives the features.
        image_shape: ``(C, H, W)`` of black images on which D is found out.

    Raises:
        ValueError: if the network cannot look at such images, or does not give ``(N, D)``.
    """

    def __init__(self, name: str, network: nn.Module, image_shape: Sequence[int] = (3, 32, 32)) -> None:
        super().__init__()
        self.name, self.network = name, network.eval().requires_grad_(False)
        self.num_features: int = self._probe(tuple(image_shape))

    @torch.no_grad()
    def _probe(self, shape: tuple[int, ...]) -> int:
        device = next((parameter.device for parameter in self.parameters()), None)
        try:
            features = self.network(torch.zeros(2, *shape, dtype=torch.uint8, device=device))
        except Exception as error:
            raise ValueError(
                f"The extractor {self.name} cannot look at uint8 images of the shape {shape}: {error}"
            ) from error
        if features.dim() != 2 or len(features) != 2:
            raise ValueError(
                f"The extractor {self.name} must give one row of features for each image, (N, D); for (2, "
                f"{', '.join(map(str, shape))}) it gave {tuple(features.shape)}."
            )
        return int(features.shape[1])

    @override
    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Stays in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images)
        return features

    def fingerprint(self) -> str:
        """Hexadecimal; different for other layers or other weights."""
        digest = hashlib.blake2b(repr((self.name, self.network)).encode(), digest_size=16)
        for key, value in self.network.state_dict().items():
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


class _DigitsFeatures(nn.Module):
    """The penultimate layer of the shipped digits classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = DigitsClassifier.pretrained()

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier.features(images)


class _Inception(nn.Module):
    """The 2,048 pooled features of torch-fidelity's port of the FID Inception; grey images become RGB."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        try:
            self.network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
        except RuntimeError as error:
            raise ValueError(
                f"{weights} holds the weights of another network: it should be the file {INCEPTION_WEIGHTS}."
            ) from error

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1] not in (1, 3):
            raise ValueError(f"The Inception network takes grey or RGB images, not {images.shape[1]} channels.")
        features: Tensor = self.network(images.expand(-1, 3, -1, -1))[0]
        return features


def build_extractor(
    extractor: str | nn.Module, weights_path: str | None = None, image_shape: Sequence[int] = (3, 32, 32)
) -> FeatureExtractor:
    """The extractor of this name, or one's own.

    Args:
        extractor: ``digits`` (a small classifier of digits, shipped: a toy on other images), ``inception`` (the network
            of the published FIDs, whose weights are downloaded unless given), or any module from uint8 images
            ``(N, C, H, W)`` to features ``(N, D)``, named by its attribute ``name`` or by its class in lower case.
        weights_path: a file with the Inception weights.
        image_shape: ``(C, H, W)`` of the images that it will look at.

    Raises:
        ValueError: if there is no such extractor, its weights cannot be had, or it cannot look at such images.
        FileNotFoundError: if there is no file ``weights_path``.
    """
    check_extractor(extractor, weights_path)
    if isinstance(extractor, FeatureExtractor):
        return extractor
    if isinstance(extractor, nn.Module):
        network = extractor
    else:
        network = _DigitsFeatures() if extractor == "digits" else _Inception(_inception_weights(weights_path))
    return FeatureExtractor(name_of(extractor), network, image_shape)


def check_extractor(extractor: str | nn.Module, weights_path: str | None = None) -> None:
    """Refuses what :func:`build_extractor` cannot know, without reading anything.

    Raises:
        ValueError: if there is no such extractor, or it has no use for the weights.
    """
    if not isinstance(extractor, nn.Module) and extractor not in EXTRACTORS:
        raise ValueError(
            f"There is no extractor {extractor!r}: it is {', '.join(EXTRACTORS)}, or a torch module of one's own."
        )
    if weights_path is not None and extractor != "inception":
        raise ValueError("weights_path gives the weights of extractor=inception only: leave it out.")


def name_of(extractor: str | nn.Module) -> str:
    """What the metrics of this extractor are called after."""
    if isinstance(extractor, str):
        return extractor
    name = getattr(extractor, "name", None)
    return name if isinstance(name, str) else type(extractor).__name__.lower()


def _inception_weights(given: str | None) -> Path:
    """The file of the weights, downloaded if need be, and known to hold nothing but tensors.

    torch-fidelity reads it again, and would run what a pickle tells it to.
    """
    path = Path(given).expanduser() if given is not None else _downloaded()
    if not path.is_file():
        raise FileNotFoundError(
            f"There are no Inception weights {path}: weights_path must be the file {INCEPTION_WEIGHTS}. "
            "extractor=digits needs none."
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}): it should be the file {INCEPTION_WEIGHTS}, whole."
        ) from error
    if not isinstance(weights, dict):
        raise ValueError(f"{path} holds no weights: it should be the file {INCEPTION_WEIGHTS}.")
    return path


def _downloaded() -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_WEIGHTS
    if path.is_file():
        return path
    log.info("Downloading the Inception weights to %s.", path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), progress=False)
    except OSError as error:
        raise ValueError(
            f"The Inception weights cannot be downloaded ({error}). Get {URL_INCEPTION_V3} another way and give the "
            "file as weights_path, or use extractor=digits, which needs no download."
        ) from error
    return path
