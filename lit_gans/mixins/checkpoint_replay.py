"""Past selves as opponents: An Online Learning Approach to GANs (Grnarova et al., ICLR 2018, OpenReview H1Yp-j1Cb).

Chekhov GAN plays against queues of past players, so that nobody wins by running in circles; ganhacks (Chintala et al.
2016) swaps past checkpoints in for a few turns. The paper averages each loss over the whole queue, takes its entries
ever further apart and adds a regularisation; here a turn meets one past self at most, drawn from the queue, and costs
what an ordinary turn costs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from typing_extensions import override

from lit_gans.game import Batch
from lit_gans.memory import PastSelves, Remembering
from lit_gans.mixins.unrolled import Unrolled

OPPONENTS = {"discriminator": "generator", "generator": "discriminator"}


class CheckpointReplay(Remembering):
    """In some turns the discriminator meets new fakes of a past generator, or the generator a past discriminator.

    Every ``past_every`` generator updates both networks as they are then, buffers included, enter a queue. What a past
    self does to its buffers (batch statistics, power iterations) is forgotten after the turn. All devices meet the
    same one. A checkpoint grows by ``past_size`` times both networks.

    Args:
        past_every: generator updates from one entry to the next, at least 1.
        past_size: length of the queue, at least 1; 5, 10 and 25 in the paper.
        past_probability: of a past opponent in a turn, once there is one, in [0, 1].
        rest: options of the model.

    Raises:
        ValueError: if an option is out of its range, or the game is unrolled.
    """

    def __init__(
        self, *, past_every: int = 500, past_size: int = 5, past_probability: float = 0.2, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.past_selves = PastSelves(past_every, past_size, past_probability)

    @override
    def check(self) -> None:
        super().check()
        if isinstance(self, Unrolled):
            raise ValueError(
                "checkpoint_replay gives the generator a past discriminator for an opponent, and unrolled one that "
                "looks ahead of the present one: name one of the two, or set tricks.checkpoint_replay=null."
            )

    @override
    @contextmanager
    def in_turn(self, player: str, batch: Batch) -> Iterator[None]:
        past, turn = {}, self.turns_taken[player]
        if player in OPPONENTS:
            draw = Random(self.key("past", player, turn))  # the same on every rank
            past = self.past_selves.met(OPPONENTS[player], draw, self.device)
        with super().in_turn(player, batch), self.standing_in(**past):
            yield
        if player == "generator" and (turn + 1) % self.past_selves.every == 0:
            self.past_selves.add(generator=self.generator, discriminator=self.discriminator)
