"""The order is a function of seed, position and rank, and of nothing else."""

from collections.abc import Callable
from itertools import chain, islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from lit_gans.data import DataModule
from lit_gans.data.order import ExactOrder, keyed_generator
from lit_gans.data.samples import InMemory, Samples

SAMPLES, BATCH = 53, 8
PER_EPOCH = SAMPLES // BATCH


class Numbers(DataModule):
    """Samples that are their own index."""

    shape, class_names = (1,), ()

    def load(self) -> Samples:
        return InMemory(torch.arange(SAMPLES)[:, None], None)

    def describe(self) -> str:
        return "numbers"


def numbers(batches_seen: int = 0, **options: Any) -> Numbers:
    data = Numbers(**{"batch_size": BATCH, **options})
    data.setup("fit")
    data.load_state_dict({"batches_seen": batches_seen})
    return data


def order(position: Callable[[], int] = lambda: 0, **options: Any) -> ExactOrder:
    return ExactOrder(InMemory(torch.arange(SAMPLES), None), batch_size=BATCH, position=position, **options)


def batches(loader: Any) -> list[list[int]]:
    return [batch["image"].flatten().tolist() for batch in loader]


def test_an_epoch_holds_every_sample_at_most_once_and_only_whole_batches() -> None:
    seen = batches(numbers().train_dataloader())
    assert [len(batch) for batch in seen] == [BATCH] * PER_EPOCH
    assert len(numbers().train_dataloader()) == PER_EPOCH
    assert len({*chain.from_iterable(seen)}) == BATCH * PER_EPOCH


def test_epochs_and_seeds_have_their_own_orders() -> None:
    orders = [tuple(order(seed=seed).permutation(epoch).tolist()) for seed in range(5) for epoch in range(5)]
    assert len({*orders}) == 25
    assert all(sorted(indices) == list(range(SAMPLES)) for indices in orders)
    # Over many epochs every sample comes first about equally often: the mean of 0..52 is 26, its deviation here 0.24.
    firsts = [order().permutation(epoch)[0].item() for epoch in range(4000)]
    assert sum(firsts) / len(firsts) == pytest.approx(26, abs=1.2)


def test_the_same_seed_gives_the_same_order_and_draws_nothing_from_the_global_random_state() -> None:
    torch.manual_seed(1)
    first = batches(numbers(seed=3).train_dataloader())
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    assert batches(numbers(seed=3).train_dataloader()) == first
    assert batches(numbers(seed=4).train_dataloader()) != first


@pytest.mark.parametrize(
    ("position", "workers"), [(0, 0), (1, 0), (5, 0), (6, 0), (7, 0), (12, 0), (100, 0), (5, 2), (7, 2)]
)
def test_a_loader_goes_on_at_any_position(position: int, workers: int) -> None:
    whole = [order().batch(number) for number in range(position, position + PER_EPOCH)]
    assert batches(numbers(position, num_workers=workers).train_dataloader()) == whole


def test_positions_within_an_epoch_are_the_rest_of_its_permutation() -> None:
    rest = batches(islice(numbers(PER_EPOCH + 4).train_dataloader(), PER_EPOCH - 4))
    assert [*chain.from_iterable(rest)] == order().permutation(1)[4 * BATCH : PER_EPOCH * BATCH].tolist()


def test_an_iterator_asks_for_the_position_when_it_is_made() -> None:
    position = [0]
    sampler = order(lambda: position[0])
    first = iter(sampler)
    position[0] = 4
    assert [*islice(first, BATCH)] == sampler.batch(0)
    assert [*islice(sampler, BATCH)] == sampler.batch(4)


@pytest.mark.parametrize("world_size", [2, 4])
def test_devices_share_the_batches_of_one(world_size: int) -> None:
    parts = [order(lambda: 4, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert [len(part) for part in parts] == [PER_EPOCH * BATCH // world_size] * world_size
    size = BATCH // world_size
    streams = [[*part] for part in parts]
    for batch in range(PER_EPOCH):
        united = [index for stream in streams for index in stream[batch * size : (batch + 1) * size]]
        assert united == order().batch(4 + batch)


def test_lightning_leaves_the_sampler_alone_and_its_set_epoch_changes_nothing() -> None:
    loader = numbers().train_dataloader()
    assert isinstance(loader.sampler, DistributedSampler)
    before = batches(loader)
    loader.sampler.set_epoch(7)
    assert batches(loader) == before


def test_keys_are_independent() -> None:
    def draw(*key: Any) -> Tensor:
        return torch.rand(1000, generator=keyed_generator(*key))

    assert torch.equal(draw(1, "order", 2), draw(1, "order", 2))
    others = [draw(1, "order", 3), draw(2, "order", 2), draw(1, "flip", 2), draw(12, "order")]
    for other in others:
        assert abs(torch.corrcoef(torch.stack([draw(1, "order", 2), other]))[0, 1].item()) < 0.15


def test_a_batch_larger_than_the_data_set_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.batch_size is 54, but the data set has only 53 samples: use .*=53 or"):
        numbers(batch_size=54)
    assert len(batches(numbers(batch_size=53).train_dataloader())) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_size": 0}, r"data.batch_size must be at least 1, got 0\."),
        ({"num_workers": -1}, r"data.num_workers must be at least 0, or null for automatic, got -1\."),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Numbers(**options)


def test_a_batch_that_devices_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbers, "place", (1, 3))
    with pytest.raises(ValueError, match=r"8 cannot be shared equally by 3\. Use a multiple, such as 6 or 9\."):
        numbers()
    with pytest.raises(ValueError, match=r"2 cannot be shared equally by 3\. Use a multiple, such as 3 or 3\."):
        numbers(batch_size=2)
    assert len(batches(numbers(batch_size=9).train_dataloader())[0]) == 3
