"""Games one after another in one run: the stages of a StackGAN, say."""

from dataclasses import replace
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from lit_gans.game import Batch, Player
from lit_gans.games import Games
from lit_gans.gan import GAN


class Stages(Games):
    """The games of :class:`lit_gans.games.Games`, of which one at a time is played: each for some updates of the run.

    ``trainer.global_step`` counts the updates of all stages together. A resumed run goes on in the stage it was in,
    also where it is to be longer than before: what a later stage has learnt from stays as it is.

    Args:
        stages: the numbers, from 1, of those to train, the others staying as they are; None for all.
        stage_steps: updates of each stage that is trained, of which the last goes on until the run ends; None for equal
            shares of ``trainer.max_steps``.
        rest: options of :class:`lit_gans.games.Games`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, *, stages: list[int] | None = None, stage_steps: list[int] | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        if stage_steps is not None and min(stage_steps, default=0) < 1:
            raise ValueError(f"stage_steps must be numbers of at least 1, got {stage_steps}.")
        self.stages, self.stage_steps = stages, stage_steps

    @override
    def trained(self) -> tuple[str, ...]:
        if self.stages is None:
            return self.names
        numbers = range(1, len(self.names) + 1)
        return tuple(self.names[stage - 1] if stage in numbers else str(stage) for stage in sorted(set(self.stages)))

    @override
    def playing(self) -> tuple[str, ...]:
        trained = self.trained()
        made = [self.updates_made(self.named(name)) for name in trained]
        begun = max((place for place, updates in enumerate(made) if updates), default=0)
        for place in range(begun, len(trained) - 1):
            if made[place] < self.steps_of(trained[place]):
                return (trained[place],)
        return trained[-1:]

    @override
    def finished(self) -> tuple[str, ...]:
        trained = self.trained()
        over = () if self._trainer is None else trained[: trained.index(self.playing()[0])]
        return (*super().finished(), *over)

    @override
    def play_batch(self, batch: Batch, *, counts: bool) -> dict[str, Tensor]:
        if self.playing() != self.played:
            for name in self.latest_terms:  # or all who show them would have the stage's last ones for ever
                self.trainer.callback_metrics.pop(name, None)
            self.latest_terms.clear()
        return super().play_batch(batch, counts=counts)

    @staticmethod
    def updates_made(stage: GAN) -> int:
        """How often a stage's last player has had its turn."""
        return stage.turns_taken[stage.game[-1].name]

    def steps_of(self, name: str) -> int:
        """The updates of a stage in this run; of the last one, up to the run's end."""
        place, count, most = self.trained().index(name), len(self.trained()), int(self.trainer.max_steps)
        if self.stage_steps is None:
            share, rest = divmod(most, count)
            return share + (place >= count - rest)
        rest = most - sum(self.stage_steps[:-1]) if place == count - 1 else 0
        return max(self.stage_steps[place], rest)

    @override
    def players(self) -> list[Player]:
        players = super().players()
        if self._trainer is None:  # how long the run is to be, is not known yet
            return players
        return [replace(player, updates=self.steps_of(player.name.split("/")[0])) for player in players]

    @override
    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.check_steps()
        super().setup(stage)

    def check_steps(self) -> None:
        """Makes sure that each stage knows how long it is, and warns if the run ends before the last one.

        Raises:
            ValueError: if nothing says how long a stage is.
        """
        most, steps, count = int(self.trainer.max_steps), self.stage_steps, len(self.trained())
        if steps is not None and len(steps) != count:
            raise ValueError(f"model.stage_steps={steps} must have a number for each of the {count} stages trained.")
        if steps is None and most < count and count > 1:
            raise ValueError(
                f"{count} stages must know how long they are: set model.stage_steps, or trainer.max_steps to {count} "
                "or more."
            )
        if steps is not None and 0 <= most <= sum(steps[:-1]):
            rank_zero_warn(
                f"The run ends before {self.trained()[-1]} begins: model.stage_steps={steps} and trainer.max_steps="
                f"{most}."
            )
