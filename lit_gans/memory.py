"""What is remembered of a game: past fakes, texts and networks, the mean of past weights. It is in the checkpoint.

Memories are no buffers of the module, which ddp would send from the first rank to all at every step. Every rank fills
its own with what all ranks have in common, so that they are equal and any one rank can write a checkpoint alone.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans.gan import GAN

Plan = tuple[list[int], dict[int, int]]
"""What is shown for new fakes, and what is kept: a source for each sample, and the new fakes that enter, by place.

A source below the number of stored fakes is the one in that place; from there on they are the new ones in their order.
"""


class Memory:
    """Plain contents that a checkpoint holds."""

    def state_dict(self) -> dict[str, Any]:
        """The contents, for a checkpoint."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the contents of a checkpoint."""
        raise NotImplementedError


class Remembering(GAN):
    """Every :class:`Memory` that is an attribute is in the checkpoints, under ``memories``."""

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        memories = {name: value for name, value in vars(self).items() if isinstance(value, Memory)}
        checkpoint["memories"] = {name: memory.state_dict() for name, memory in memories.items()}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        for name, state in checkpoint.get("memories", {}).items():
            if name in vars(self):  # not one that an option does without by now
                getattr(self, name).load_state_dict(state)


# Fakes


def half_past(n: int, stored: int, size: int, draw: Random) -> Plan:
    """SimGAN's history (Shrivastava et al. 2017, arXiv 1612.07828, section 2.3).

    Every other sample shown is a past one, none of them twice, as far as there are any. Then n/2 of the new fakes that
    were shown enter: into free places first, then into random ones.

    Args:
        n: new fakes, at least 2.
        stored: fakes in the buffer.
        size: places of the buffer.
        draw: what draws.

    Raises:
        ValueError: if there is no half of ``n``.
    """
    half = n // 2
    if half == 0:
        raise ValueError(
            "replay_kind=simgan shows half a batch of past fakes, and one sample has no half: set "
            "tricks.replay.replay_kind=pool, or a larger data.batch_size."
        )
    past = draw.sample(range(stored), min(half, stored))
    shown = list(range(stored, stored + n))
    shown[1 : 2 * len(past) : 2] = past
    free = range(stored, min(size, stored + half))
    places = [*free, *draw.sample(range(stored), min(half - len(free), stored))]
    return shown, dict(zip(places, range(0, n, 2), strict=False))


def swapped(n: int, stored: int, size: int, draw: Random, swap: float) -> Plan:
    """CycleGAN's pool (Zhu et al. 2017, arXiv 1703.10593, section 4).

    One new fake after the other: while there is a free place it is stored and shown; then, with probability ``swap``,
    it takes the place of a random stored one, which is shown instead.

    Args:
        n: new fakes.
        stored: fakes in the pool.
        size: places of the pool.
        draw: what draws.
        swap: probability, in [0, 1].
    """
    places, shown = list(range(stored)), []
    for new in range(stored, stored + n):
        shown.append(new)
        if len(places) < size:
            places.append(new)
        elif draw.random() < swap:
            place = draw.randrange(size)
            shown[-1], places[place] = places[place], new
    return shown, {place: source - stored for place, source in enumerate(places) if source >= stored}


class FakeBuffer(Memory):
    """Past fakes, without their history.

    Args:
        kind: ``simgan`` for :func:`half_past`, ``pool`` for :func:`swapped`.
        size: places; None for the kind's own number, 2048 or 50.
        swap: probability that a full pool shows a past fake.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, kind: str, size: int | None, swap: float) -> None:
        if kind not in ("simgan", "pool"):
            raise ValueError(f"replay_kind must be 'simgan' or 'pool', got {kind!r}.")
        if size is not None and size < 1:
            raise ValueError(f"replay_size must be at least 1, or null for the kind's own, got {size}.")
        if not 0 <= swap <= 1:
            raise ValueError(f"replay_swap must be in [0, 1], got {swap}.")
        self.size = size or (2048 if kind == "simgan" else 50)
        self.plan: Callable[[int, int, int, Random], Plan]
        self.plan = half_past if kind == "simgan" else partial(swapped, swap=swap)
        self.samples: Tensor | None = None
        self.met = 0

    @torch.no_grad()
    def meet(self, fakes: Tensor, draw: Random) -> Tensor:
        """What is shown for new fakes ``(N, ...)``: a tensor of its own, of the same shape."""
        samples = fakes[:0] if self.samples is None else self.samples.to(fakes)
        stored = len(samples)
        plan, kept = self.plan(len(fakes), stored, self.size, draw)
        sources, places, entering = (torch.tensor([*indices]).long() for indices in (plan, kept, kept.values()))
        past = sources < stored
        shown = torch.empty_like(fakes)
        shown[past], shown[~past] = samples[sources[past]], fakes[sources[~past] - stored]
        if added := int((places >= stored).sum()):
            samples = torch.cat([samples, fakes[:added]])
        samples[places] = fakes[entering]
        self.samples, self.met = samples, self.met + len(fakes)
        return shown

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"samples": self.samples, "met": self.met}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.samples, self.met = state["samples"], state["met"]


# Texts

ROUNDING = 1e-3
"""Of a text's length: two texts that are no farther apart are one to the model, whatever their images are."""


class PastTexts(Memory):
    """The last texts of a game, by their embeddings, and of what kind of image each is: a queue.

    As MoCo keeps what a batch is too small for (He et al., CVPR 2020, arXiv 1911.05722, section 3.2).

    Args:
        size: length of the queue.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.texts: Tensor | None = None
        self.kinds: Tensor | None = None

    @torch.no_grad()
    def add(self, texts: Tensor, kinds: Tensor) -> None:
        """Embeddings ``(N, E)`` and kinds ``(N,)`` enter; the oldest leave."""
        past = (texts[:0], kinds[:0]) if self.texts is None or self.kinds is None else (self.texts, self.kinds)
        self.texts, self.kinds = (
            torch.cat([old.to(new), new])[-self.size :] for old, new in zip(past, (texts, kinds), strict=True)
        )

    @torch.no_grad()
    def nearest(self, texts: Tensor, kinds: Tensor, count: int) -> Tensor:
        """For each of N texts those of the queue that are nearest to it, of other kinds and not itself.

        Args:
            texts: embeddings ``(N, E)``.
            kinds: ``(N,)``.
            count: how many.

        Returns:
            ``(N, K, E)``, the nearest first; K is less than ``count`` where one of them has no more.
        """
        if self.texts is None or self.kinds is None:
            return texts.new_empty(len(texts), 0, texts.shape[1])
        distances = torch.cdist(texts.float(), self.texts.float())
        alike = (kinds[:, None] == self.kinds) | (distances <= ROUNDING * texts.float().norm(dim=1, keepdim=True))
        most = min(count, int((~alike).sum(1).min()))
        return self.texts[distances.masked_fill(alike, torch.inf).topk(most, largest=False).indices]

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"texts": self.texts, "kinds": self.kinds}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.texts, self.kinds = state["texts"], state["kinds"]


def of_all_devices(samples: Tensor) -> Tensor:
    """The samples ``(N, ...)`` of every device, the first rank's first: ``(devices * N, ...)``."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return samples
    parts = [samples.new_empty(samples.shape) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, samples.contiguous())
    return torch.cat(parts)


# Networks


class PastSelves(Memory):
    """A queue of what networks were, buffers included; the oldest leave it.

    Args:
        every: updates from one entry to the next.
        size: length of the queue.
        probability: that one is met, once there is one.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, every: int, size: int, probability: float) -> None:
        for name, value in (("past_every", every), ("past_size", size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if not 0 <= probability <= 1:
            raise ValueError(f"past_probability must be in [0, 1], got {probability}.")
        self.every, self.probability = every, probability
        self.queue: deque[dict[str, dict[str, Tensor]]] = deque(maxlen=size)

    def add(self, **networks: nn.Module) -> None:
        """Copies of the networks, without their history, enter."""
        named = {name: [*network.named_parameters(), *network.named_buffers()] for name, network in networks.items()}
        self.queue.append({name: {key: t.detach().clone() for key, t in tensors} for name, tensors in named.items()})

    def met(self, network: str, draw: Random, device: torch.device) -> dict[str, dict[str, Tensor]]:
        """The weights that stand in for ``network`` under its name; mostly nothing."""
        if not self.queue or draw.random() >= self.probability:
            return {}
        # Copies, also where they are on the device already: whoever plays with them writes into the buffers.
        weights = draw.choice(self.queue)[network].items()
        return {network: {name: value.to(device, copy=True) for name, value in weights}}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"queue": list(self.queue)}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.queue.clear()
        self.queue.extend(state["queue"])


# Weights


class RunningMeans(Memory):
    """The mean of each held player's weights over time, by name.

    Args:
        held: the players' names.
    """

    def __init__(self, held: list[str]) -> None:
        self.means: dict[str, dict[str, Tensor]] = {name: {} for name in held}

    @torch.no_grad()
    def add(self, player: str, weights: Mapping[str, Tensor], count: int) -> None:
        """One more value of each weight, the ``count``-th: mean + (weight - mean) / count."""
        before = [self.means[player].get(name, weight).to(weight) for name, weight in weights.items()]
        means = torch._foreach_lerp(before, list(weights.values()), 1 / count)
        self.means[player] = dict(zip(weights, means, strict=True))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means = {name: state["means"].get(name, {}) for name in self.means}
