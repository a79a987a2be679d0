"""The order of the samples: a function of a seed and a position alone, so that nothing else has to be saved."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from typing_extensions import override

from lit_gans.keys import key


def keyed_generator(seed: int, *name: str | int) -> torch.Generator:
    """A random generator on the CPU, made of a seed and a name and independent of every other name's."""
    return torch.Generator().manual_seed(key(seed, *name))


class ExactOrder(DistributedSampler[Any]):
    """Batches by their number since training began; every epoch is shuffled under its own key.

    Batch ``b`` of all devices together is a slice of the permutation of epoch ``b // batches_per_epoch``, and each
    device takes its part of that slice: the same images, however many devices there are. An iterator starts where
    ``position`` says and is one epoch long, from there on. The last, incomplete batch of an epoch is left out.

    It is a ``DistributedSampler`` so that Lightning puts none of its own in its place. Lightning calls ``set_epoch``
    only after the workers have begun to fetch, too late for a resumed run: it is ignored.

    Args:
        dataset: what is shuffled; only its length counts.
        batch_size: samples in a batch, of all devices together; a multiple of ``world_size``.
        seed: of every permutation.
        rank: of this device, in [0, world_size).
        world_size: how many devices share a batch.
        position: how many batches have been consumed since training began, asked when an iterator is made.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        batch_size: int,
        position: Callable[[], int],
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(dataset, num_replicas=world_size, rank=rank, seed=seed, drop_last=True)
        self.samples = len(dataset)  # type: ignore[arg-type]
        self.batch_size, self.position = batch_size, position
        self.batches_per_epoch = self.samples // batch_size
        self._shuffled: tuple[int, Tensor] | None = None

    @override
    def __len__(self) -> int:
        return self.batches_per_epoch * (self.batch_size // self.num_replicas)

    @override
    def __iter__(self) -> Iterator[int]:
        start = self.position()
        return chain.from_iterable(self.batch(number) for number in range(start, start + self.batches_per_epoch))

    @override
    def set_epoch(self, epoch: int) -> None:
        """Changes nothing."""

    def batch(self, number: int) -> list[int]:
        """This device's indices of batch ``number``."""
        epoch, offset = divmod(number, self.batches_per_epoch)
        part = self.batch_size // self.num_replicas
        start = offset * self.batch_size + self.rank * part
        indices: list[int] = self.permutation(epoch)[start : start + part].tolist()
        return indices

    def permutation(self, epoch: int) -> Tensor:
        """All indices in the order of an epoch: ``(samples,)``, int64."""
        if self._shuffled is None or self._shuffled[0] != epoch:
            generator = keyed_generator(self.seed, "order", epoch)
            self._shuffled = (epoch, torch.randperm(self.samples, generator=generator))
        return self._shuffled[1]


class EndlessOrder(ExactOrder):
    """Batch ``b`` of all devices together is the samples from ``b * batch_size`` on: none ever comes twice.

    For data sets that make a new sample of every index, however large; ``len`` only says where epochs end.
    """

    @override
    def batch(self, number: int) -> list[int]:
        part = self.batch_size // self.num_replicas
        start = number * self.batch_size + self.rank * part
        return [*range(start, start + part)]


class ResumableLoader(DataLoader[Any]):
    """A loader whose order is exact on resume without a state: the position is the data module's.

    Lightning warns about every resumed loader that has no state.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads nothing."""


def unchanged(batch: Any) -> Any:
    """Collates batches that the data set makes whole."""
    return batch
