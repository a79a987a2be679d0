"""Samples to be scored: the same ones, however many processes draw them and whenever a run was resumed."""

from collections.abc import Iterator
from functools import partial

import torch
from lightning import Trainer
from torch import Tensor

from lit_gans import Sampler


def drawn(trainer: Trainer, model: Sampler, n: int, batch_size: int, *name: str | int) -> Iterator[Tensor]:
    """This process's part of ``n`` samples: whole batches, each drawn under its own key.

    Args:
        trainer: says which part.
        model: draws them; it is ready for that by then.
        n: samples of all processes together.
        batch_size: samples at a time, at most.
        name: of what they are drawn for, and when; part of the keys.
    """
    size = max(1, min(batch_size, n // trainer.world_size))
    starts = torch.arange(0, n, size).tensor_split(trainer.world_size)[trainer.global_rank]
    for start in starts.tolist():
        yield model.keyed(partial(model.sample, min(size, n - start)), *name, start)
