"""Past fakes for the discriminator: Shrivastava et al. (SimGAN, CVPR 2017, arXiv 1612.07828), section 2.3.

A generator that goes round in circles is met by a discriminator that has forgotten where it was before. The pool of
single images is that of Zhu et al. (CycleGAN, ICCV 2017, arXiv 1703.10593), section 4.
"""

from random import Random
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.conditions import check_unconditional
from lit_gans.memory import FakeBuffer, Remembering, of_all_devices


class ExperienceReplay(Remembering):
    """The discriminator is shown past fakes among the present ones, in its own turn only.

    ``simgan``: half a batch of past fakes beside half a batch of present ones, which then enter the buffer, in random
    places once it is full. ``pool``: one by one a fake is shown, or takes the place of a past one that is shown
    instead. ``simgan`` needs two samples at least, all devices together.

    There is one buffer for all devices: each turn gathers their fakes (one collective of as many bytes as the real
    samples have as floats), and all draw the same. So two devices act like one with the whole batch. A checkpoint
    grows by the buffer: 100 MB for 2048 colour images of 64 x 64 float32 pixels, 2 MB for grey ones of 16 x 16.

    Args:
        replay_kind: ``simgan`` or ``pool``.
        replay_size: fakes in the buffer; None for 2048 with ``simgan`` and the paper's 50 with ``pool``.
        replay_swap: probability that ``pool`` shows a past fake, once it is full, in [0, 1]; 0.5 in the paper's code.
        rest: options of the model.

    Raises:
        ValueError: if an option is out of its range, or the model is conditional.
    """

    def __init__(
        self, *, replay_kind: str = "simgan", replay_size: int | None = None, replay_swap: float = 0.5, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.past_fakes = FakeBuffer(replay_kind, replay_size, replay_swap)

    @override
    def check(self) -> None:
        super().check()
        check_unconditional(
            self,
            "replay shows fakes of past batches with conditions of their own, but the discriminator's loss takes one "
            "condition for the real and the fake sample of a pair",
        )

    @override
    def replay(self, fake: Tensor) -> Tensor:
        fake = super().replay(fake)
        fakes = of_all_devices(fake)
        # Not the turn's own randomness, which differs from rank to rank.
        shown = self.past_fakes.meet(fakes, Random(self.key("replay", self.past_fakes.met)))
        return torch.empty_like(fake).copy_(shown.chunk(len(fakes) // len(fake))[self.global_rank])
