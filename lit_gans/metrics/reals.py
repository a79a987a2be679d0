"""Statistics of real images: worked out once, then kept on disk under what they depend on."""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lit_gans.data.samples import Samples
from lit_gans.metrics.extractors import FeatureExtractor
from lit_gans.metrics.scores import Statistics

log = logging.getLogger(__name__)


def default_cache_dir() -> Path:
    """``$XDG_CACHE_HOME/lit_gans``, or ``~/.cache/lit_gans``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lit_gans"


def cache_path(folder: Path, content_hash: str, extractor: FeatureExtractor, num_real: int, num_kept: int) -> Path:
    """The file for these images, seen by this network with these weights, in this number."""
    parts = (content_hash, extractor.fingerprint(), num_real, num_kept)
    return folder / f"reals-{hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()}.safetensors"


def measure(
    images: Samples,
    extractor: FeatureExtractor,
    *,
    num_real: int,
    num_kept: int,
    batch_size: int,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> Statistics:
    """Statistics of one process's part of the images, without flips.

    Args:
        images: the data set, uint8 ``(N, C, H, W)`` in its batches.
        extractor: of the features, on ``device``.
        num_real: images taken, evenly spaced over the data set: no class is left out of a sorted one.
        num_kept: features kept at most, evenly spaced over those.
        batch_size: images at a time.
        device: of the statistics.
        rank: which part.
        world_size: how many parts.
    """
    stride = -(-num_real // max(1, num_kept))
    # Whole batches, so that a network's rounding does not depend on how many share them.
    starts = torch.arange(0, num_real, batch_size).tensor_split(world_size)[rank]

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for start in starts.tolist():
            position = torch.arange(start, min(start + batch_size, num_real))
            batch = images.__getitems__((position * len(images) // num_real).tolist())
            keep = (position % stride == 0) & (num_kept > 0)
            yield extractor(batch["image"].to(device)), keep.to(device)

    return Statistics.of(batches(), extractor.num_features, device)


def read(path: Path) -> Statistics | None:
    """The statistics in a file; None, with a warning, if it is not whole, and None if there is none."""
    try:
        return Statistics(**load_file(path))
    except FileNotFoundError:
        return None
    except Exception as error:
        log.warning("%s cannot be read (%s): it is made anew.", path, type(error).__name__)
        return None


def write(path: Path, statistics: Statistics) -> None:
    """Keeps statistics in a file, written aside and then renamed; if that is impossible, only warns."""
    aside = path.with_suffix(f".{os.getpid()}.part")
    tensors = {field.name: getattr(statistics, field.name).cpu().contiguous() for field in fields(statistics)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, aside)
        os.replace(aside, path)
    except Exception as error:
        log.warning("The real images' statistics cannot be kept in %s (%s): the next run makes them anew.", path, error)
        with suppress(OSError):
            aside.unlink()
