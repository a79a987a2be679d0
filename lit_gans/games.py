"""Several games in one run, such as the levels of a pyramid: each with its own players, tricks and memory."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.game import Batch, Player
from lit_gans.gan import ADAM, CONSTANT, GAN
from lit_gans.sampler import Sampler


class Games(Sampler):
    """Games side by side, one after another on each batch; none moves another's networks, or knows of it.

    What is drawn in a game is keyed by its own name, so a game trains the same whichever others there are. The updates
    of the last game are what ``trainer.global_step`` counts: all have as many. ``compose`` gives its tricks to
    :attr:`game_class`.

    Args:
        n_critic: as of :class:`lit_gans.GAN`, in each game.
        generator_optimizer: likewise.
        discriminator_optimizer: likewise.
        lr_schedule: likewise.
        accumulate: as of :class:`lit_gans.game.Game`.
        gradient_clip: likewise, of each player's update.
        compile: likewise.
        seed: likewise.
        tricks: options of the games' tricks.

    Raises:
        ValueError: if an option is out of its range.
    """

    game_class: type[GAN] = GAN
    """The class of each game."""

    names: tuple[str, ...]
    """Of all games, in their order."""

    played: tuple[str, ...] = ()
    """Of those that were played on the last batch."""

    def __init__(
        self,
        *,
        n_critic: int = 1,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        lr_schedule: dict[str, Any] | None = None,
        accumulate: int = 1,
        gradient_clip: float | None = None,
        compile: bool = False,
        seed: int = 0,
        **tricks: Any,
    ) -> None:
        super().__init__(accumulate=accumulate, gradient_clip=gradient_clip, compile=compile, seed=seed)
        self.save_hyperparameters()
        self.game_options = {
            "n_critic": n_critic,
            "generator_optimizer": generator_optimizer or ADAM,
            "discriminator_optimizer": discriminator_optimizer or ADAM,
            "lr_schedule": lr_schedule or CONSTANT,
            "accumulate": accumulate,
            **tricks,
        }

    def make_games(self) -> Mapping[str, GAN]:
        """The games, by name."""
        raise NotImplementedError(f"{type(self).__name__} must define make_games.")

    def trained(self) -> tuple[str, ...]:
        """The names of the games that are played; the others stay as they are."""
        return self.names

    def playing(self) -> tuple[str, ...]:
        """The names of the games that are played on the next batch."""
        return self.trained()

    def finished(self) -> tuple[str, ...]:
        """The names of the games that will not be played any more."""
        return tuple(name for name in self.names if name not in self.trained())

    @override
    def finished_networks(self) -> tuple[str, ...]:
        return tuple(f"{name}.{own}" for name in self.finished() for own in self.named(name).averaged_networks)

    def game_batch(self, name: str, batch: Batch) -> Batch:
        """What of a prepared batch one game sees."""
        raise NotImplementedError(f"{type(self).__name__} must define game_batch.")

    def named(self, name: str) -> GAN:
        """One game."""
        game = getattr(self, name)
        assert isinstance(game, GAN)
        return game

    # The game of games

    @override
    def build(self) -> None:
        games = self.make_games()
        self.names = tuple(games)
        if not self.trained() or not set(self.trained()) <= set(self.names):
            raise ValueError(f"There are {', '.join(self.names)} to train, not {', '.join(self.trained()) or 'none'}.")
        for name, game in games.items():
            setattr(self, name, game)  # a child itself: Lightning tells children, but not theirs, of the trainer
        self.averaged_networks = tuple(
            f"{name}.{own}" for name, game in games.items() for own in game.averaged_networks
        )

    @override
    def players(self) -> list[Player]:
        return [
            replace(player, name=f"{name}/{player.name}")
            for name in self.trained()
            for player in self.named(name).players()
        ]

    @override
    def play_batch(self, batch: Batch, *, counts: bool) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        self.played = self.playing()
        for name in self.played:
            with torch.no_grad():
                own = self.game_batch(name, batch)
            found = self.named(name).play_batch(own, counts=counts and name == self.played[-1])
            terms |= {f"{name}/{term}": value for term, value in found.items()}
        self.batches_seen += 1
        self.images_seen += len(next(iter(batch.values()))) * self.trainer.world_size
        return terms

    @override
    def schedules(self) -> list[Any]:
        return [schedule for name in self.played for schedule in self.named(name).schedules()]

    # Lightning

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        first = 0
        for name in self.trained():
            game = self.named(name)
            game.first_optimizer, game.compiled = first, self.compiled
            game.setup(stage)
            first += len(game.game)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["games"] = {}
        for name in self.names:
            self.named(name).on_save_checkpoint(checkpoint["games"].setdefault(name, {}))

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        for name in self.names:
            self.named(name).on_load_checkpoint(checkpoint["games"][name])
