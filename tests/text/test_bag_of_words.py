"""Hashed words and pairs: exact vectors, what they do not see, and chance between its bounds."""

import hashlib
import math
import os
import subprocess
import sys
import time

import pytest
import torch

from lit_gans.text import BagOfWords
from lit_gans.text.bag_of_words import features, words_of


def place_and_sign(feature: str, dim: int) -> tuple[int, int]:
    number = int(hashlib.blake2b(feature.encode(), digest_size=8).hexdigest(), 16) // 2
    return (number // 2) % dim, -1 if number % 2 else 1


@pytest.mark.parametrize("dim", [1, 2, 7, 512])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_vectors_are_signed_counts_at_length_root_of_dim(dim: int, n: int) -> None:
    texts = [f"a red circle on a {colour}" for colour in ("blue", "red", "x", "y", "z", "1", "2", "3")][:n]
    expected = torch.zeros(n, dim, dtype=torch.float64)
    for row, text in enumerate(texts):
        last = text.split()[-1]
        words = ["a", "red", "circle", "on", "a", last]
        for feature in [*words, "a red", "red circle", "circle on", "on a", f"a {last}"]:
            where, sign = place_and_sign(feature, dim)
            expected[row, where] += sign
    expected *= math.sqrt(dim) / expected.norm(dim=1, keepdim=True)
    found = BagOfWords(dim).encode(texts)
    assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


def test_a_known_vector() -> None:
    """Written down once: embeddings in checkpoints and caches stay what they were."""
    assert features("Red bird") == ["red", "bird", "red bird"]
    (vector,) = BagOfWords(4).encode(["red bird"])
    torch.testing.assert_close(vector, torch.tensor([-2.0, -1, 0, 0]) * 2 / 5**0.5)


def test_order_of_words_is_seen() -> None:
    one, other, same = BagOfWords().encode(["red circle on blue", "blue circle on red", "red circle on blue"])
    assert torch.equal(one, same)
    # Of seven features each, four words and the pair in the middle are shared.
    assert float(one @ other) / 512 == pytest.approx(5 / 7, abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A RED Bird", "a red bird"),
        ("STRASSE", "straße"),
        ("\uff32\uff45\uff44\u3000bird \uff11\uff12", "red bird 12"),
        ("ﾊﾟﾝ", "パン"),
        ("caf\u00e9", "cafe\u0301"),
        ("ﬁne", "fine"),
        ("red,  bird!\n", "red bird"),
    ],
)
def test_forms_of_one_text_are_one(one: str, other: str) -> None:
    assert torch.equal(*BagOfWords().encode([one, other]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a red-winged bird, no. 7", ["a", "red", "winged", "bird", "no", "7"]),
        ("赤い鳥、Tokyo", ["赤", "い", "鳥", "tokyo"]),
        ("東京tower", ["東", "京", "tower"]),
        ("นกสีแดง", ["น", "ก", "สี", "แ", "ด", "ง"]),
        ("빨간 새", ["빨간", "새"]),
        ("लाल पक्षी", ["लाल", "पक्षी"]),
        ("красная птица", ["красная", "птица"]),
        ("طائر أحمر", ["طائر", "أحمر"]),
        ("?! ❤", ["?", "!", "❤"]),
        ("red ❤", ["red"]),
    ],
)
def test_words_of_every_script(text: str, words: list[str]) -> None:
    assert words_of(text.casefold()) == words


def test_vowel_signs_tell_words_apart() -> None:
    one, other = BagOfWords().encode(["कि", "की"])
    assert not torch.equal(one, other)


def test_nothing_that_can_be_written_has_no_vector() -> None:
    texts = [chr(code) for code in range(0, 0x30000, 7) if not chr(code).isspace()]
    lengths = BagOfWords(3).encode(texts).double().norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, math.sqrt(3)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("words", range(1, 40))
def test_features_never_cancel_out(words: int) -> None:
    """In one place all signs meet."""
    value = float(BagOfWords(1).encode([" ".join(f"word{words * k}" for k in range(words))]))
    assert abs(value) == 1


def test_places_and_signs_are_fair() -> None:
    """Of 20,000 words in 50 places: each place has 400, give or take 5 sigma, and half the signs are +."""
    embeddings = BagOfWords(50).encode([f"w{number}" for number in range(20_000)])
    taken = (embeddings != 0).sum(0)
    assert int(taken.sum()) == 20_000
    sigma = math.sqrt(20_000 * 0.02 * 0.98)
    assert float((taken - 400).abs().max()) < 5 * sigma
    assert sigma / 2 < float(taken.double().std()) < 2 * sigma
    assert abs(int((embeddings > 0).sum()) - 10_000) < 5 * math.sqrt(5_000)


def test_strangers_are_orthogonal_but_for_chance() -> None:
    """Cosines of texts that share no feature have mean 0 and variance 1 / E (arXiv 0902.2206, lemma 2)."""
    dim = 64
    texts = [" ".join(f"{word}x{number}" for word in range(10)) for number in range(400)]
    embeddings = BagOfWords(dim).encode(texts).double()
    cosines = (embeddings @ embeddings.T / dim)[tuple(torch.triu_indices(400, 400, 1))]
    assert abs(float(cosines.mean())) < 0.01
    assert 0.85 / dim < float(cosines.square().mean()) < 1.15 / dim


def test_a_vector_does_not_depend_on_the_others() -> None:
    texts = [f"a bird with {number} feathers" for number in range(20_000)]
    encoder = BagOfWords(16)
    many = encoder.encode(texts)
    for index in (0, 8191, 8192, 19_999):
        assert torch.equal(many[index], encoder.encode([texts[index]])[0])
    assert encoder.encode([]).shape == (0, 16)


def test_long_texts_and_many() -> None:
    start = time.perf_counter()
    embeddings = BagOfWords(32).encode(["a b c d e " * 1000, "鳥" * 10_000, "?" * 10_000])
    lengths = embeddings.norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, math.sqrt(32)))
    BagOfWords(32).encode(["a small red bird on a branch"] * 20_000)
    assert time.perf_counter() - start < 10  # a million in minutes would be 3 for the second alone


def test_another_process_has_the_same() -> None:
    script = (
        "from lit_gans.text import BagOfWords; encoder = BagOfWords(8)\n"
        "print(hash('red'), encoder.fingerprint(), encoder.encode(['a red bird', '鳥']).tolist())"
    )
    seed = "8" if os.environ.get("PYTHONHASHSEED") == "7" else "7"
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    theirs, rest = done.stdout.split(maxsplit=1)
    encoder = BagOfWords(8)
    assert int(theirs) != hash("red")
    assert rest == f"{encoder.fingerprint()} {encoder.encode(['a red bird', '鳥']).tolist()}\n"


def test_fingerprint_tells_sizes_apart() -> None:
    assert BagOfWords(8).fingerprint() == BagOfWords(8).fingerprint() != BagOfWords(9).fingerprint()
    assert int(BagOfWords().fingerprint(), 16) > 0
    assert (BagOfWords.frozen, BagOfWords.cached) == (True, False)


def test_embeddings_are_floats_where_the_run_has_doubles() -> None:
    """As under ``trainer.precision=64-true``, which sets torch's default."""
    expected = BagOfWords(8).encode(["a red circle"])
    torch.set_default_dtype(torch.double)
    try:
        found = BagOfWords(8).encode(["a red circle"])
    finally:
        torch.set_default_dtype(torch.float)
    assert found.dtype == torch.float
    assert torch.equal(found, expected)
