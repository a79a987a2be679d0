"""Embeddings of a data set's captions: worked out once, then kept on disk under what they depend on."""

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lit_gans.text.encoder import TextEncoder

log = logging.getLogger(__name__)

FEWEST_KEPT = 100
"""Texts: fewer are not worth a file, such as a few captions for which someone wants to see images."""


def embed(encoder: TextEncoder, texts: Sequence[str], cache_dir: str | Path | None = None) -> Tensor:
    """Embeddings ``(N, E)`` float32 of texts, on the CPU; read from a file if they were made before.

    Kept are only those of an encoder that is ``cached``, of many texts at a time.

    Args:
        encoder: of the texts.
        texts: N of them.
        cache_dir: where the files are; ``text`` beside the statistics of real images if not given.

    Raises:
        ValueError: if a text is empty or blank, or the encoder has yet to learn.
    """
    if not encoder.cached or len(texts) < FEWEST_KEPT:
        return encoder.encode(texts)
    path = cache_path(_default_dir() if cache_dir is None else Path(cache_dir).expanduser(), encoder, texts)
    embeddings = _read(path, (len(texts), encoder.dim))
    if embeddings is None:
        embeddings = encoder.encode(texts)
        _write(path, embeddings)
    return embeddings


def cache_path(folder: Path, encoder: TextEncoder, texts: Sequence[str]) -> Path:
    """The file for these texts, in this order, by this encoder."""
    digest = hashlib.blake2b(encoder.fingerprint().encode(), digest_size=16)
    for text in texts:
        digest.update(repr(text).encode())  # in quotes: where one ends and the next begins is told, too
    return folder / f"{digest.hexdigest()}.safetensors"


def _default_dir() -> Path:
    from lit_gans.metrics.reals import default_cache_dir  # seconds, for the networks that metrics bring

    return default_cache_dir() / "text"


def _read(path: Path, shape: tuple[int, int]) -> Tensor | None:
    """The embeddings in a file; None, with a warning, if it is not whole, and None if there is none."""
    try:
        embeddings = load_file(path)["embeddings"]
        if tuple(embeddings.shape) != shape or embeddings.dtype != torch.float32:
            raise ValueError(f"{tuple(embeddings.shape)} in place of {shape}")
        return embeddings
    except FileNotFoundError:
        return None
    except Exception as error:
        log.warning("%s cannot be read (%s): it is made anew.", path, type(error).__name__)
        return None


def _write(path: Path, embeddings: Tensor) -> None:
    """Keeps embeddings in a file, written aside and then renamed; if that is impossible, only warns."""
    aside = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"embeddings": embeddings.contiguous()}, aside)
        os.replace(aside, path)
    except Exception as error:
        log.warning("The embeddings of texts cannot be kept in %s (%s): the next run makes them anew.", path, error)
        with suppress(OSError):
            aside.unlink()
