"""Seeds by name: what is drawn depends on what it is drawn for, and on nothing that was drawn before."""

import hashlib


def key(seed: int, *parts: str | int) -> int:
    """A 63-bit seed made of a seed and the parts of a name."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
