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
        dataset: what is shuffled; its length counts.
        batch_size: samples in a batch, of all devices together; a multiple of ``world_size``.
        seed: of every permutation.
        rank: of this device, in [0, world_size).
        world_size: how many devices share a batch.
        position: how many batches have been consumed since training began, asked when an iterator is made.
    """

    samples_per_place = 1
    """Samples that a batch has for each of its places."""

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
        self._shuffled: dict[str, tuple[int, Tensor]] = {}

    @override
    def __len__(self) -> int:
        return self.batches_per_epoch * (self.batch_size // self.num_replicas) * self.samples_per_place

    @override
    def __iter__(self) -> Iterator[int]:
        start = self.position()
        return chain.from_iterable(self.batch(number) for number in range(start, start + self.batches_per_epoch))

    @override
    def set_epoch(self, epoch: int) -> None:
        """Changes nothing."""

    @staticmethod
    def collate(batch: Any) -> Any:
        """The batch, which the data set makes whole, as training sees it."""
        return batch

    def batch(self, number: int) -> list[int]:
        """This device's indices of batch ``number``."""
        return self.part(number, "order")

    def part(self, number: int, name: str) -> list[int]:
        """This device's slice of an order that has a name of its own."""
        epoch, offset = divmod(number, self.batches_per_epoch)
        part = self.batch_size // self.num_replicas
        start = offset * self.batch_size + self.rank * part
        indices: list[int] = self.permutation(epoch, name)[start : start + part].tolist()
        return indices

    def permutation(self, epoch: int, name: str = "order") -> Tensor:
        """All indices in the order of an epoch: ``(samples,)``, int64."""
        if name not in self._shuffled or self._shuffled[name][0] != epoch:
            generator = keyed_generator(self.seed, name, epoch)
            self._shuffled[name] = (epoch, torch.randperm(self.samples, generator=generator))
        return self._shuffled[name][1]


class EndlessOrder(ExactOrder):
    """Batch ``b`` of all devices together is the samples from ``b * batch_size`` on: none ever comes twice.

    For data sets that make a new sample of every index, however large; ``len`` only says where epochs end.
    """

    @override
    def batch(self, number: int) -> list[int]:
        part = self.batch_size // self.num_replicas
        start = number * self.batch_size + self.rank * part
        return [*range(start, start + part)]


class LabelledOrder(ExactOrder):
    """A batch three times: of :class:`ExactOrder`, of the labelled samples, and of all in another order.

    What semi-supervised learning looks at in a round (arXiv 1606.03498, section 5, and its code). The labelled samples
    come in one shuffled order after another without end, however few they are.

    Args:
        dataset: as of :class:`ExactOrder`, with ``labels``, -1 for unlabelled.
        rest: as of :class:`ExactOrder`.
    """

    samples_per_place = 3

    def __init__(self, dataset: Dataset[Any], **rest: Any) -> None:
        super().__init__(dataset, **rest)
        self.labelled = (dataset.labels >= 0).nonzero().flatten()  # type: ignore[attr-defined]

    @override
    def batch(self, number: int) -> list[int]:
        part, count = self.batch_size // self.num_replicas, len(self.labelled)
        start = number * self.batch_size + self.rank * part
        shuffled = {
            epoch: self.labelled[torch.randperm(count, generator=keyed_generator(self.seed, "labelled", epoch))]
            for epoch in range(start // count, (start + part - 1) // count + 1)
        }
        labelled = [int(shuffled[place // count][place % count]) for place in range(start, start + part)]
        return [*super().batch(number), *labelled, *self.part(number, "other")]

    @staticmethod
    @override
    def collate(batch: Any) -> Any:
        first, labelled, other = ({key: values.chunk(3)[i] for key, values in batch.items()} for i in range(3))
        return {
            **first,
            "labelled_image": labelled["image"],
            "labelled_label": labelled["label"],
            "other_image": other["image"],
        }


class ResumableLoader(DataLoader[Any]):
    """A loader whose order is exact on resume without a state: the position is the data module's.

    Lightning warns about every resumed loader that has no state.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads nothing."""
