"""Words and pairs of neighbouring words, hashed: an encoder of any language that learns and downloads nothing.

Feature Hashing for Large Scale Multitask Learning, Weinberger et al., ICML 2009, arXiv 0902.2206, section 2. With a
hash h into 1 ... E and another, xi, into -1 and 1,

    phi_i(x) = sum over the features f of x with h(f) = i of xi(f),

so that the inner product of two texts is, over the hashes, that of their counts of features (lemma 2).
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.text.encoder import TextEncoder, check_dim, check_texts, digest_of, normalised, scaled

SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48f\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""Scripts that put no space between words: Thai, Lao, Burmese, Khmer, Tai, kana, bopomofo, Yi, Han."""
ASCII_WORD = re.compile(r"\w+", re.ASCII)
AT_ONCE = 8192  # texts whose features are a list for a moment


class BagOfWords(TextEncoder):
    """Texts to signed counts of their words and of their pairs of neighbouring words, in E places.

    Other words, or the same in another order, make another vector, but for chance: two features share a place with
    probability 1 / E. A text without a word, of emoji say, is taken by its characters. No two features cancel out
    wholly: n words have n - 1 pairs, and the sum of an odd number of signs is not 0.

    Args:
        dim: E.

    Raises:
        ValueError: if ``dim`` is out of its range.
    """

    def __init__(self, dim: int = 512) -> None:
        self.dim = check_dim(dim)

    @override
    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        check_texts(texts)
        embeddings = torch.zeros(len(texts), self.dim, dtype=torch.float32)  # whatever the default is
        for start in range(0, len(texts), AT_ONCE):
            counts = embeddings[start : start + AT_ONCE]
            counts.copy_(scaled(self._count([features(text) for text in texts[start : start + AT_ONCE]], counts)))
        return embeddings

    def _count(self, each: list[list[str]], counts: Tensor) -> Tensor:
        """Adds phi of the features of each of n texts to counts ``(n, E)``."""
        hashes = torch.tensor([_hash(feature) for own in each for feature in own])
        rows = torch.arange(len(each)).repeat_interleave(torch.tensor([len(own) for own in each]))
        places = rows * self.dim + (hashes >> 1) % self.dim
        counts.view(-1).index_add_(0, places, (1 - 2 * (hashes & 1)).float())
        return counts

    @override
    def fingerprint(self) -> str:
        return digest_of({}, "bag_of_words", self.dim)


def features(text: str) -> list[str]:
    """The words of a text that is not blank, then its pairs of neighbouring words, a space between the two."""
    words = words_of(normalised(text))
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def words_of(text: str) -> list[str]:
    """Words; characters in scripts without spaces; where there are neither, whatever characters there are."""
    found: list[str] = (ASCII_WORD if text.isascii() else _any_word()).findall(text)
    return found or [character for character in text if not character.isspace()]


@cache
def _any_word() -> re.Pattern[str]:
    r"""Letters and digits with their marks, which are no ``\w``: without them Hindi would lose its vowels."""
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)).startswith("M"))
    spaced = f"(?![{SPACELESS}])"
    return re.compile(rf"(?=\w)[{SPACELESS}][{marks}]*|{spaced}\w(?:{spaced}[\w{marks}])*")


@lru_cache(1 << 18)
def _hash(feature: str) -> int:
    """63 bits: the lowest for the sign, the others for the place. The same in every process, unlike :func:`hash`."""
    digest = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
