"""Text encoders from plain dictionaries."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lit_gans.optim import one_of
from lit_gans.text.bag_of_words import BagOfWords
from lit_gans.text.char_cnn import CharCNN
from lit_gans.text.encoder import TextEncoder
from lit_gans.text.pretrained import PACKAGES, Pretrained

ENCODERS: dict[str, Callable[..., TextEncoder]] = {
    "bag_of_words": BagOfWords,
    "char_cnn": CharCNN,
    **{name: partial(Pretrained, name) for name in PACKAGES},
}


def build_encoder(options: Mapping[str, Any]) -> TextEncoder:
    """A text encoder from ``{"name": "bag_of_words", "dim": 512}``.

    Args:
        options: ``name`` is one of ``ENCODERS``; everything else goes to its class. An option that is None has its
            default there.

    Raises:
        ValueError: if the name or an option is unknown, ``path`` of a pretrained one is missing, or it cannot be had.
    """
    given = {key: value for key, value in options.items() if key != "name" and value is not None}
    name = one_of("text encoder", options.get("name"), ENCODERS)
    known = inspect.signature(ENCODERS[name]).parameters
    for option in given:
        one_of(f"option of the text encoder {name!r}", option, known)
    if "path" in known and "path" not in given:
        raise ValueError(
            f"The text encoder {name!r} needs a `path`: the name of a model on the Hugging Face hub, or its folder."
        )
    return ENCODERS[name](**given)
