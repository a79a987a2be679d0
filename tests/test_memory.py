"""What is remembered, place by place: against lists that do what the papers say, one sample at a time."""

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_gans import penalties
from lit_gans.memory import FakeBuffer, PastSelves, PastTexts, RunningMeans, half_past, swapped

WEIGHTS = {"a": torch.tensor([1.0, 2.0]).double(), "b": torch.tensor([[3.0]]).double()}


def numbered(start: int, n: int) -> Tensor:
    """Fakes that can be told apart: all elements of fake i are i."""
    return torch.arange(start, start + n).double().view(n, 1, 1).expand(n, 2, 3)


def numbers(samples: Tensor) -> list[int]:
    assert bool((samples == samples[:, :1, :1]).all())
    return [int(sample[0, 0]) for sample in samples]


# SimGAN's half batch


@pytest.mark.parametrize("n", [2, 3, 8])
def test_half_of_what_is_shown_is_past_and_half_a_batch_enters(n: int) -> None:
    shown, kept = half_past(n, 20, 20, Random(1))
    past = [source for source in shown if source < 20]
    assert len(past) == len(set(past)) == n // 2
    assert [source - 20 for source in shown if source >= 20] == list(range(0, n, 2))
    assert len(kept) == n // 2
    assert all(place < 20 for place in kept)
    # What enters was shown as new.
    assert sorted(kept.values()) == list(range(0, n, 2))[: n // 2]


def test_an_empty_buffer_shows_the_present_and_fills() -> None:
    assert half_past(8, 0, 20, Random(1)) == (list(range(8)), {0: 0, 1: 2, 2: 4, 3: 6})
    shown, kept = half_past(8, 2, 20, Random(1))
    assert sorted(source for source in shown if source < 2) == [0, 1]
    assert len([source for source in shown if source >= 2]) == 6
    assert kept == {2: 0, 3: 2, 4: 4, 5: 6}


def test_the_last_free_places_are_filled_before_old_ones_are_replaced() -> None:
    _, kept = half_past(8, 18, 20, Random(1))
    assert sorted(kept)[-2:] == [18, 19]
    assert len(kept) == 4
    assert half_past(8, 0, 2, Random(1))[1] == {0: 0, 1: 2}
    assert len(half_past(8, 2, 2, Random(1))[1]) == 2


def test_half_a_batch_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one sample has no half: set tricks\.replay\.replay_kind=pool"):
        half_past(1, 5, 10, Random(0))


def test_every_place_is_shown_and_replaced_equally_often() -> None:
    shown, replaced, draw = torch.zeros(10), torch.zeros(10), Random(0)
    for _ in range(4000):
        plan, kept = half_past(4, 10, 10, draw)
        shown[[source for source in plan if source < 10]] += 1
        replaced[list(kept)] += 1
    for counts in (shown, replaced):  # 800 each, standard deviation 25
        assert int(counts.sum()) == 8000
        assert 680 < float(counts.min()) <= float(counts.max()) < 920


# CycleGAN's pool


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("swap", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [1, 4, 6])
def test_the_pool_is_the_papers_one_by_one(n: int, swap: float, size: int) -> None:
    buffer, pool = FakeBuffer("pool", size, swap), list[int]()
    ours, theirs = Random(3), Random(3)
    for turn in range(20):
        expected = []
        for fake in range(turn * n, (turn + 1) * n):
            if len(pool) < size:
                pool.append(fake)
                expected.append(fake)
            elif theirs.random() < swap:
                place = theirs.randrange(size)
                expected.append(pool[place])
                pool[place] = fake
            else:
                expected.append(fake)
        assert numbers(buffer.meet(numbered(turn * n, n), ours)) == expected
        assert numbers(buffer.samples) == pool
    assert buffer.met == 20 * n


def test_a_full_pool_shows_past_fakes_with_its_probability() -> None:
    draw = Random(0)
    swaps = sum(source != 50 for _ in range(4000) for source in swapped(1, 50, 50, draw, 0.25)[0])
    assert abs(swaps - 1000) < 120  # standard deviation 27


# The buffer


@pytest.mark.parametrize("n", [2, 3, 8])
def test_the_buffer_does_what_is_planned(n: int) -> None:
    buffer, stored, ours, theirs = FakeBuffer("simgan", 7, 0.5), list[int](), Random(5), Random(5)
    for turn in range(20):
        new = list(range(turn * n, (turn + 1) * n))
        plan, kept = half_past(n, len(stored), 7, theirs)
        expected = [(stored + new)[source] for source in plan]
        for place, entering in kept.items():
            stored[place : place + 1] = [new[entering]]
        assert numbers(buffer.meet(numbered(turn * n, n), ours)) == expected
        assert numbers(buffer.samples) == stored
        assert len(stored) <= 7
    assert len(stored) == 7
    assert min(stored) > 0  # the first ones are gone


@pytest.mark.parametrize("kind", ["simgan", "pool"])
def test_what_is_shown_and_stored_is_detached_and_its_own(kind: str) -> None:
    buffer, draw = FakeBuffer(kind, 4, 1.0), Random(0)
    for turn in range(4):
        fakes = numbered(turn * 4, 4).clone().requires_grad_()
        before = fakes.detach().clone()
        shown = buffer.meet(fakes, draw)
        assert not shown.requires_grad
        assert not buffer.samples.requires_grad
        stored = buffer.samples.clone()
        assert torch.equal(fakes, before)
        with torch.no_grad():  # whoever writes into the one does not write into the others
            fakes.zero_()
            shown.zero_()
        assert torch.equal(buffer.samples, stored)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_samples_keep_their_type_and_their_layout_in_memory(dtype: torch.dtype) -> None:
    fakes = torch.randn(4, 3, 5, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    buffer = FakeBuffer("pool", 4, 0.5)
    shown = buffer.meet(fakes, Random(0))
    assert shown.dtype == buffer.samples.dtype == dtype
    assert shown.stride() == fakes.stride()
    assert torch.equal(shown, fakes)


def test_sizes_of_their_own() -> None:
    assert [FakeBuffer("simgan", None, 0.5).size, FakeBuffer("pool", None, 0.5).size] == [2048, 50]
    assert FakeBuffer("pool", 7, 0.5).size == 7


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("both", None, 0.5), "replay_kind must be 'simgan' or 'pool', got 'both'"),
        (("pool", 0, 0.5), "replay_size must be at least 1, or null for the kind's own, got 0"),
        (("pool", None, 1.5), r"replay_swap must be in \[0, 1\], got 1\.5"),
    ],
)
def test_a_buffer_out_of_range_is_refused(options: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        FakeBuffer(*options)


# Past selves


def network(value: float) -> torch.nn.Module:
    module = torch.nn.BatchNorm1d(2)
    torch.nn.init.constant_(module.weight, value)
    module.running_mean.fill_(value)
    return module


def test_the_queue_forgets_the_oldest_and_draws_the_others_equally() -> None:
    selves, draw = PastSelves(1, 3, 0.5), Random(0)
    assert selves.met("generator", draw, torch.device("cpu")) == {}
    for value in range(5):
        selves.add(generator=network(value), discriminator=network(value + 10))
    counts = dict.fromkeys(range(5), 0)
    for _ in range(3000):
        for name, weights in selves.met("generator", draw, torch.device("cpu")).items():
            assert name == "generator"
            assert weights.keys() == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
            counts[int(weights["weight"][0])] += 1
    assert counts[0] == counts[1] == 0
    assert all(abs(counts[value] - 500) < 80 for value in (2, 3, 4))  # standard deviation 20


def test_past_selves_are_copies_on_the_way_in_and_on_the_way_out() -> None:
    selves, module = PastSelves(1, 3, 1.0), network(1.0)
    selves.add(discriminator=module)
    with torch.no_grad():
        module.weight.zero_()
        module.running_mean.zero_()
    weights = selves.met("discriminator", Random(0), torch.device("cpu"))["discriminator"]
    assert not any(value.requires_grad for value in weights.values())
    assert float(weights["weight"][0]) == float(weights["running_mean"][0]) == 1
    weights["running_mean"].zero_()
    again = selves.met("discriminator", Random(0), torch.device("cpu"))["discriminator"]
    assert float(again["running_mean"][0]) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((0, 5, 0.2), "past_every must be at least 1, got 0"),
        ((1, 0, 0.2), "past_size must be at least 1, got 0"),
        ((1, 5, -0.2), r"past_probability must be in \[0, 1\], got -0\.2"),
    ],
)
def test_a_queue_out_of_range_is_refused(options: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PastSelves(*options)


# The mean of the past


def test_the_running_mean_is_the_mean() -> None:
    memory, past = RunningMeans(["a"]), []
    for count in range(1, 30):
        value = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
        past.append(value.detach().clone())
        memory.add("a", {"w": value}, count)
        with torch.no_grad():
            value.zero_()
        mean = memory.means["a"]["w"]
        torch.testing.assert_close(mean, torch.stack(past).mean(0), rtol=1e-12, atol=1e-14)
        assert not mean.requires_grad


def test_historical_penalty_in_closed_form() -> None:
    """||(1, 2, 3) - (0, 4, 1)||^2 = 1 + 4 + 4 = 9, gradient 2 (theta - mean)."""
    weights = {name: value.clone().requires_grad_() for name, value in WEIGHTS.items()}
    means = {"a": torch.tensor([0.0, 4.0]).double().requires_grad_(), "b": torch.tensor([[1.0]]).double()}
    penalty = penalties.historical(weights, means)
    assert penalty.shape == ()
    torch.testing.assert_close(penalty, torch.tensor(9.0).double(), rtol=1e-12, atol=0)
    penalty.backward()
    torch.testing.assert_close(weights["a"].grad, torch.tensor([2.0, -4.0]).double(), rtol=1e-12, atol=0)
    torch.testing.assert_close(weights["b"].grad, torch.tensor([[4.0]]).double(), rtol=1e-12, atol=0)
    assert means["a"].grad is None
    assert float(penalties.historical(weights, {})) == 0
    assert float(penalties.historical(WEIGHTS, {"b": WEIGHTS["b"] + 2})) == 4


def descend(value: Any, weight: float, rate: float, steps: int) -> tuple[float, float]:
    """Simultaneous gradient descent of x and ascent of y on value(x, y), from (1, 0.5)."""
    players = {name: torch.tensor(start).double().requires_grad_() for name, start in (("x", 1.0), ("y", 0.5))}
    memory = RunningMeans(["x", "y"])
    for count in range(1, steps + 1):
        gradients = {}
        for name, sign in (("x", 1), ("y", -1)):
            memory.add(name, {name: players[name]}, count)
            objective = sign * value(**players) + weight * penalties.historical(players, memory.means[name])
            (gradients[name],) = torch.autograd.grad(objective, players[name])
        with torch.no_grad():
            for name, gradient in gradients.items():
                players[name] -= rate * gradient
    return float(players["x"].detach()), float(players["y"].detach())


def test_it_finds_the_equilibrium_that_gradient_descent_runs_round() -> None:
    x, y = descend(lambda x, y: x * y, 0.0, 0.1, 500)
    assert x**2 + y**2 > 1.25  # further away than at the start
    x, y = descend(lambda x, y: x * y, 0.1, 0.1, 500)
    assert 0 < x**2 + y**2 < 1e-4


def test_it_finds_the_equilibrium_of_the_papers_game() -> None:
    """(f(x) - 1)(y - 1), f(x) = x for x < 0 and x^2 otherwise (arXiv 1606.03498, section 3.3), at (1, 1)."""
    game = lambda x, y: (torch.where(x < 0, x, x.square()) - 1) * (y - 1)  # noqa: E731
    x, y = descend(game, 0.3, 0.03, 1500)
    assert abs(x - 1) < 0.02
    assert abs(y - 1) < 0.02
    away = [descend(game, 0.0, 0.03, steps) for steps in (300, 600)]
    assert all(not (x - 1) ** 2 + (y - 1) ** 2 < 0.1 for x, y in away)


# Texts


def test_the_last_texts_are_kept() -> None:
    past = PastTexts(5)
    for start in (0, 3):
        past.add(torch.arange(start, start + 3).float()[:, None], torch.arange(start, start + 3))
    assert past.state_dict()["texts"].flatten().tolist() == [1, 2, 3, 4, 5]
    again = PastTexts(5)
    again.load_state_dict(past.state_dict())
    again.add(torch.tensor([[6.0]]), torch.tensor([6]))
    past.add(torch.tensor([[6.0]]), torch.tensor([6]))
    assert again.state_dict()["texts"].equal(past.state_dict()["texts"])
    assert again.state_dict()["kinds"].tolist() == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("count", [1, 4])
def test_the_nearest_of_another_kind_one_by_one(n: int, count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    texts, kinds = torch.randn(40, 6, generator=generator), torch.arange(40) % 5
    past = PastTexts(40)
    past.add(texts, kinds)
    asked, own = texts[:n] + 0.1, kinds[:n]
    found = past.nearest(asked, own, count)
    assert found.shape == (n, count, 6)
    for text, kind, these in zip(asked, own, found, strict=True):
        others = sorted(
            (one for one, its in zip(texts, kinds, strict=True) if its != kind), key=lambda o: (o - text).norm()
        )
        assert these.equal(torch.stack(others[:count]))


def test_a_text_is_not_wrong_for_itself_whatever_the_kinds_say() -> None:
    """Two captions of different kinds may be one to an encoder: it drops punctuation, say."""
    texts = torch.randn(30, 64, generator=torch.Generator().manual_seed(0)) * 100
    past = PastTexts(60)
    past.add(torch.cat([texts, texts]), torch.arange(60))
    found = past.nearest(texts, torch.arange(100, 130), 58)
    assert float(torch.cdist(texts[:, None], found).min()) > 1
    near = texts[:1] * 1.01
    assert past.nearest(near, torch.tensor([100]), 2)[0].equal(texts[:1].expand(2, -1))


def test_where_there_are_too_few_texts_of_other_kinds_there_are_fewer() -> None:
    past = PastTexts(10)
    texts, kinds = torch.randn(4, 6), torch.tensor([0, 0, 0, 1])
    assert past.nearest(texts, kinds, 2).shape == (4, 0, 6)
    past.add(texts, kinds)
    assert past.nearest(texts, kinds, 2).shape == (4, 1, 6)
    assert past.nearest(texts[:3], kinds[:3], 2)[:, 0].equal(texts[3:].expand(3, -1))
    assert past.nearest(texts[3:], kinds[3:], 2).shape == (1, 2, 6)
    assert past.nearest(-texts, torch.zeros(4, dtype=torch.long), 2).shape == (4, 1, 6)
