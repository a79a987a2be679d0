"""The game: players who take turns at moving their own networks. Nothing here belongs to any one paper."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, TypeVar

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from typing_extensions import override

from lit_gans import devices, keys
from lit_gans.optim import build_optimizer, build_schedule

Batch = dict[str, Tensor]
T = TypeVar("T")


@dataclass(frozen=True)
class Player:
    """Who moves what, and what for.

    Attributes:
        name: unique in the game; part of the key of everything the player draws.
        networks: the networks that the player's turns move, and nothing else does.
        objective: from a batch, or a part of one, to the terms whose sum the player minimises, under the names they
            are logged as. Each is a mean over the samples.
        optimizer: options of :func:`lit_gans.optim.build_optimizer`.
        schedule: options of :func:`lit_gans.optim.build_schedule`.
        turns: turns in a round. A round has as many batches as its busiest player has turns; whoever has fewer plays
            on the last ones. The last player's turns are what ``trainer.global_step`` counts.
        updates: rounds that it plays, which its schedule may need to know; None for the whole run.
    """

    name: str
    networks: tuple[nn.Module, ...]
    objective: Callable[[Batch], Mapping[str, Tensor]]
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    turns: int = 1
    updates: int | None = None


class BuiltAfterInit(type):
    """Builds the networks when every ``__init__`` has returned, so that each mixin has its own options by then."""

    @override
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        game = super().__call__(*args, **kwargs)
        game.build()
        game.check()
        return game


class Game(lightning.LightningModule, metaclass=BuiltAfterInit):
    """Rounds of turns under manual optimization, on one device or many, resumed exactly.

    A turn is zero_grad, objective, backward, exchange of gradients, clip, step: it moves its own player's networks
    only. ``trainer.global_step`` counts updates of the last player. Everything a turn draws is keyed by (seed, player,
    turn, rank).

    Args:
        accumulate: parts a batch is worked through in, to save memory; the update is the whole batch's. (Batch
            statistics, and losses relative to a batch mean, are then a part's own.)
        gradient_clip: largest gradient norm of a player's update; None does not clip.
        compile: compile the networks with torch.compile.
        seed: of the initial weights and of everything drawn in training.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self, *, accumulate: int = 1, gradient_clip: float | None = None, compile: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        if accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, got {accumulate}.")
        if gradient_clip is not None and gradient_clip <= 0:
            raise ValueError(f"gradient_clip must be above 0, or null for no clipping, got {gradient_clip}.")
        self.automatic_optimization = False
        self.accumulate, self.gradient_clip, self.compiled, self.seed = accumulate, gradient_clip, compile, seed
        self.turns_taken: Counter[str] = Counter()
        self.batches_seen = self.images_seen = 0
        self.first_optimizer = 0  # of the trainer's, where several games share it
        self.latest_terms: dict[str, Tensor] = {}

    # What a game says

    def build(self) -> None:
        """Makes the networks."""
        raise NotImplementedError(f"{type(self).__name__} must define build.")

    def check(self) -> None:
        """Refuses, by a ValueError, a combination without meaning; called once the networks are built."""

    def players(self) -> Sequence[Player]:
        """Who plays, in the order of a round. The last player's turns are counted as updates."""
        raise NotImplementedError(f"{type(self).__name__} must define players.")

    def prepare(self, batch: Batch) -> Batch:
        """The batch as the players see it."""
        return batch

    def shared(self, batch: Batch) -> Batch:
        """The batch with what its players share, made before the first turn and only if it is not cut into parts."""
        return batch

    @contextmanager
    def in_turn(self, player: str, batch: Batch) -> Iterator[None]:
        """Around each turn of the player of this name, on this batch."""
        yield

    # The turns

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> None:
        before = self.global_step
        self.latest_terms |= self.play_batch(self.prepare(batch), counts=True)
        if self.global_step == before:
            return
        for schedule in self.schedules():
            schedule.step()
        if self.global_step % self.log_every == 0:
            terms = self.latest_terms.items()
            means = {name: self.trainer.strategy.reduce(term, reduce_op="mean") for name, term in terms}
            self.publish({**{name: float(mean) for name, mean in means.items()}, "images_seen": self.images_seen})

    def schedules(self) -> list[Any]:
        """The learning-rate schedules of those who played in this round."""
        configs = self.trainer.lr_scheduler_configs[self.first_optimizer :][: len(self.game)]
        return [config.scheduler for config in configs]

    def play_batch(self, batch: Batch, *, counts: bool) -> dict[str, Tensor]:
        """The turns on this batch, and the objectives' detached terms; the last player's ``counts`` as an update."""
        size = len(next(iter(batch.values())))
        position = self.batches_seen % self.round_length
        playing = [i for i, player in enumerate(self.game) if position >= self.round_length - player.turns]
        counts = counts and playing[-1] == len(self.game) - 1
        if len(playing) > 1 and self.accumulate == 1:
            self.seed_turn("shared", self.batches_seen)
            batch = self.shared(batch)
        terms: dict[str, Tensor] = {}
        for index in playing:
            last = index == playing[-1]
            terms |= self.take_turn(index, batch, size, last=last, counts=last and counts)
        self.batches_seen += 1
        self.images_seen += size * self.trainer.world_size
        return terms

    def take_turn(self, index: int, batch: Batch, size: int, *, last: bool, counts: bool) -> dict[str, Tensor]:
        """One turn of the player ``game[index]``, everyone else frozen, and its objective's detached terms.

        Args:
            index: of the player.
            batch: of this device, prepared.
            size: samples in it.
            last: whether it is the batch's last turn.
            counts: whether ``trainer.global_step`` grows.
        """
        player = self.game[index]
        terms: dict[str, Tensor] = {}
        with self.in_turn(player.name, batch), self.frozen_but(index):
            self.seed_turn(player.name, self.turns_taken[player.name])
            for parameter in self.moved[index]:
                parameter.grad = None
            for part in self.parts(batch):
                share = len(next(iter(part.values()))) / size
                # A penalty that no trick added is a constant: neither minimised nor logged.
                felt = {name: term for name, term in player.objective(part).items() if term.requires_grad}
                self.manual_backward(share * reduce(add, felt.values()))
                terms = {name: terms.get(name, 0) + share * term.detach() for name, term in felt.items()}
            self.exchange(self.moved[index], with_statistics=last)
            self.step(index, counts)
        self.turns_taken[player.name] += 1
        return terms

    def step(self, index: int, counts: bool) -> None:
        """One optimizer step. Lightning counts those made through its wrapper, so only one a round goes that way."""
        place = self.first_optimizer + index
        if counts:
            wrapped = self.optimizers()
            (wrapped[place] if isinstance(wrapped, list) else wrapped).step()
        else:
            self.trainer.strategy.optimizer_step(self.trainer.optimizers[place], lambda: None)

    @contextmanager
    def frozen_but(self, index: int) -> Iterator[None]:
        """Nobody but one player learns: an opponent's gradients are not even computed."""
        others = [parameter for i, moved in enumerate(self.moved) if i != index for parameter in moved]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def parts(self, batch: Batch) -> list[Batch]:
        """The batch in ``accumulate`` parts."""
        if self.accumulate == 1:
            return [batch]
        pieces = [value.chunk(self.accumulate) for value in batch.values()]
        return [dict(zip(batch, part, strict=True)) for part in zip(*pieces, strict=True)]

    # Many devices

    @override
    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        strategy = self.trainer.strategy
        # DDP's own reducer expects every parameter in every backward; `exchange` does its work, once a turn.
        with strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext():
            super().manual_backward(loss, *args, **kwargs)

    def exchange(self, parameters: Sequence[nn.Parameter], *, with_statistics: bool) -> None:
        """Averages one player's gradients over the devices, and everybody's running statistics with them."""
        if self.trainer.world_size == 1:
            return
        tensors = devices.gradients(parameters)
        if with_statistics:  # only when no player's graph needs them any more
            tensors += [b for norm in self.norms for b in (norm.running_mean, norm.running_var) if b is not None]
        devices.average(tensors, self.trainer.world_size)

    # Randomness

    def key(self, *parts: str | int) -> int:
        """A 63-bit seed made of the game's seed and the parts."""
        return keys.key(self.seed, *parts)

    def seed_turn(self, name: str, turn: int) -> None:
        """Keys all that follows by (seed, name, turn, rank), so that no random state has to be saved."""
        keys.seed_generators(self.key(name, turn, self.global_rank), self.device)

    def keyed(self, make: Callable[[], T], *name: str | int) -> T:
        """What ``make`` returns under its own key, the global random state left alone."""
        with torch.random.fork_rng(devices=[]):
            keys.seed_generators(self.key(*name), self.device)
            return make()

    # Lightning

    @override
    def configure_callbacks(self) -> list[Any]:
        # The first hook of a fit: before Lightning refuses what it cannot do, without naming our options.
        devices.check_trainer(self.trainer)
        return []

    @override
    def setup(self, stage: str) -> None:
        devices.look_for_gpus_fast(self.trainer.strategy.root_device)
        self.log_every = int(self.trainer.log_every_n_steps)  # type: ignore[attr-defined]
        self.game = list(self.players())
        self.round_length = max(player.turns for player in self.game)
        self.moved = [[p for net in one.networks for p in net.parameters() if p.requires_grad] for one in self.game]
        self.norms = [norm for norm in self.modules() if isinstance(norm, _NormBase) and norm.track_running_stats]
        for network in (network for player in self.game for network in player.networks):
            if self.compiled:  # which of channels_last foretells wrong strides on a GPU (pytorch issue 171622)
                network.compile()
            else:
                network.to(memory_format=torch.channels_last)

    @override
    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        # A fused optimizer unscales inside its step, too late for `gradient_clip` under 16-mixed.
        fused = self.trainer.precision != "16-mixed"
        optimizers, schedules = [], []
        for player, moved in zip(self.game, self.moved, strict=True):
            optimizers.append(build_optimizer(player.optimizer, moved, fused=fused))
            schedules.append(build_schedule(player.schedule, optimizers[-1], player.updates or self.trainer.max_steps))
        return optimizers, schedules

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(
                [p for group in optimizer.param_groups for p in group["params"]], self.gradient_clip
            )

    def publish(self, values: Mapping[str, float]) -> None:
        """Sends numbers to every logger with the step everything shares, and to callbacks that monitor one."""
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(values), step=self.global_step)
        self.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        seen = {"batches_seen": self.batches_seen, "images_seen": self.images_seen}
        checkpoint["game"] = {"turns_taken": dict(self.turns_taken), **seen}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        game = checkpoint["game"]
        self.turns_taken = Counter(game["turns_taken"])
        self.batches_seen, self.images_seen = game["batches_seen"], game["images_seen"]
