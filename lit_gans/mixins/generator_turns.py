"""More turns for the generator, each on a batch of its own, where the discriminator would win."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from lit_gans.game import Player
from lit_gans.gan import GAN


class GeneratorTurns(GAN):
    """A round is ``generator_turns`` turns of the generator, and one of the discriminator before the last of them.

    Every one of the generator's turns has new latents and counts as an update.

    Args:
        generator_turns: at least 1.
        rest: options of the model.

    Raises:
        ValueError: if ``generator_turns`` is below 1, or above 1 together with ``n_critic``.
    """

    def __init__(self, *, generator_turns: int = 3, **rest: Any) -> None:
        super().__init__(**rest)
        if generator_turns < 1:
            raise ValueError(f"generator_turns must be at least 1, got {generator_turns}.")
        self.generator_turns = generator_turns

    @override
    def check(self) -> None:
        super().check()
        if self.generator_turns > 1 and self.n_critic > 1:
            raise ValueError(
                f"generator_turns={self.generator_turns} favours the generator and n_critic={self.n_critic} the "
                "discriminator: set model.n_critic=1, or leave it out."
            )

    @override
    def players(self) -> Sequence[Player]:
        turns = {"generator": self.generator_turns}
        return [replace(player, turns=turns.get(player.name, player.turns)) for player in super().players()]
