"""What all text encoders do with a text."""

from typing import Any

import pytest
import torch

from lit_gans.text import BagOfWords
from lit_gans.text.encoder import check_texts, digest_of, normalised, scaled


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", ""], "Text 1 is empty"),
        ([" \n\u3000"], "Text 0 is blank"),
        (["a", None], "Text 1 is no string but None"),
        ("a red bird", r"\['a red bird'\]"),
    ],
)
def test_what_has_no_embedding_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_texts(texts)
    with pytest.raises(ValueError, match=message):
        BagOfWords(4).encode(texts)


@pytest.mark.parametrize("dim", [0, -1, 2.0, "8"])
def test_dim_must_be_a_number_of_places(dim: Any) -> None:
    with pytest.raises(ValueError, match="dim of a text encoder must be a whole number of at least 1"):
        BagOfWords(dim)


@pytest.mark.parametrize("text", ["\uff21\uff22 é \u0391Σ", "İ", "\u0345\u03b1", "ß ﬀ ㎏"])
def test_normal_is_normal(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_lengths() -> None:
    found = scaled(torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1e-5, 0.0]]))
    root = 2**0.5
    torch.testing.assert_close(found, torch.tensor([[0.6 * root, 0.8 * root], [0, 0], [-root, 0]]))


def test_digest_depends_on_all_it_is_given() -> None:
    weight = torch.arange(6.0)
    digests = [
        digest_of({"a": weight}, 1),
        digest_of({"a": weight}, 2),
        digest_of({"b": weight}, 1),
        digest_of({"a": weight + 1}, 1),
        digest_of({"a": weight.view(2, 3)}, 1),
        digest_of({"a": weight.bfloat16()}, 1),
        digest_of({}, 1),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_of({"a": weight.clone()}, 1) == digests[0]
