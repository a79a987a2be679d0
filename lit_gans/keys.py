"""Seeds by name: what is drawn depends on what it is drawn for, and on nothing that was drawn before."""

import hashlib

import torch


def key(seed: int, *parts: str | int) -> int:
    """A 63-bit seed made of a seed and the parts of a name."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def seed_generators(seed: int, device: torch.device) -> None:
    """Seeds the generators that training on ``device`` draws from: the CPU's and the device's own.

    ``torch.manual_seed`` queues a seed for every kind of GPU that is not there, each with a formatted stack: 1 ms.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
