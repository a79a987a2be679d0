"""Historical averaging: Improved Techniques for Training GANs (Salimans et al., NeurIPS 2016, arXiv 1606.03498).

Inspired by fictitious play: in the game of x * y, where plain gradient descent runs round the equilibrium for ever, it
gets there. The paper leaves the weight open.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import penalties
from lit_gans.game import Batch
from lit_gans.memory import Remembering, RunningMeans


class HistoricalAveraging(Remembering):
    """A player minimises lambda ||theta - 1/t sum_i theta[i]||^2 besides (arXiv 1606.03498, section 3.3).

    theta is all the parameters of the player, in one vector. In its turn n, counted from 0, the mean is that of
    theta[0] ... theta[n], which it had when these turns began, its present one included; it is a constant, so that the
    gradient is 2 lambda (theta - mean). A checkpoint grows by the parameters of the players that are held.

    Args:
        history_weight: lambda, at least 0. At 0.01 the term's gradient has 1 to 9 % of the loss's norm in the first 400
            updates of a small DCGAN of the digits.
        history_discriminator: hold the discriminator.
        history_generator: hold the generator.
        rest: options of the model.

    Raises:
        ValueError: if ``history_weight`` is negative, or nobody is held.
    """

    def __init__(
        self,
        *,
        history_weight: float = 0.01,
        history_discriminator: bool = True,
        history_generator: bool = True,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if history_weight < 0:
            raise ValueError(f"history_weight must be at least 0, got {history_weight}.")
        if not (history_discriminator or history_generator):
            raise ValueError("historical_averaging holds nobody: set history_discriminator or history_generator.")
        self.history_weight = history_weight
        self.history = RunningMeans(["discriminator"] * history_discriminator + ["generator"] * history_generator)

    @override
    @contextmanager
    def in_turn(self, player: str, batch: Batch) -> Iterator[None]:
        if player in self.history.means:
            self.history.add(player, dict(getattr(self, player).named_parameters()), self.turns_taken[player] + 1)
        with super().in_turn(player, batch):
            yield

    def history_term(self, name: str) -> Tensor:
        """What the player ``name`` minimises besides; 0 for one that is not held."""
        weights = {**dict(getattr(self, name).named_parameters()), **self.stand_ins.get(name, {})}
        return self.history_weight * penalties.historical(weights, self.history.means.get(name, {}))

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return super().discriminator_penalty(real, fake, condition) + self.history_term("discriminator")

    @override
    def generator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return super().generator_penalty(real, fake, condition) + self.history_term("generator")
