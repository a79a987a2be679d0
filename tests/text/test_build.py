"""Text encoders by name."""

from typing import Any

import pytest

from lit_gans.text import BagOfWords, CharCNN, build_encoder
from lit_gans.text.build import ENCODERS


def test_by_name() -> None:
    bag, cnn = build_encoder({"name": "bag_of_words", "dim": 8}), build_encoder({"name": "char_cnn", "length": 30})
    assert isinstance(bag, BagOfWords)
    assert bag.dim == 8
    assert isinstance(cnn, CharCNN)
    assert (cnn.dim, cnn.length) == (256, 30)
    assert build_encoder({"name": "bag_of_words", "dim": None}).dim == 512
    assert list(ENCODERS) == ["bag_of_words", "char_cnn", "clip", "siglip", "sentence_transformers"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "bag_of_word"}, "no text encoder called 'bag_of_word'. Did you mean 'bag_of_words'"),
        ({}, "no text encoder called None. Possible: bag_of_words, char_cnn"),
        ({"name": "bag_of_words", "dims": 3}, "called 'dims'. Did you mean 'dim'"),
        ({"name": "clip", "path": "x", "dim": 3}, "option of the text encoder 'clip' called 'dim'. Possible: path"),
        ({"name": "clip"}, "The text encoder 'clip' needs a `path`"),
        ({"name": "char_cnn", "length": 0}, "at least 1 character, got 0"),
        ({"name": "char_cnn", "dim": 0}, "at least 1, got 0"),
    ],
)
def test_sentences_for_what_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_encoder(options)
