"""What the discriminator of a game thinks of real samples, turn by turn, over all devices."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans.game import Batch
from lit_gans.gan import GAN

WITHOUT_ZERO = {"LSGAN", "R3GAN", "Relativistic", "WGAN", "WGANGP"}
"""Classes whose discriminator has no reason to put the border between real and fake at a logit of 0."""


class RealSigns(GAN):
    """After each of the discriminator's turns :meth:`hear` is told the signs of its logits of real samples.

    The signs of a turn travel from device to device with its gradients: two numbers more in the one exchange. So every
    device is told the same after every turn, and a checkpoint of any one of them is that of all.

    Args:
        rest: options of the model.

    Attributes:
        real_signs: the sum of the signs of a turn so far, and their number, ``(2,)``.

    Raises:
        ValueError: if the signs mean nothing to the model's loss.
    """

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        self.real_signs = torch.zeros(2)

    @override
    def check(self) -> None:
        super().check()
        found = [cls.__name__ for cls in type(self).__mro__ if cls.__name__ in WITHOUT_ZERO]
        if found and self.fake_target >= 0:  # targets of -1 and 1 have 0 between them
            raise ValueError(
                f"ada goes by the signs of the logits of real samples, and 0 means nothing to the loss of {found[0]}: "
                "use model=dcgan or model=sngan, or tricks=[diff_augment] instead of ada, or leave it out."
            )

    def hear(self, signs: Tensor, images: int) -> None:
        """Called after each of the discriminator's turns.

        Args:
            signs: the sum of the signs, and their number, ``(2,)``, of all devices together.
            images: real samples in the turn, of all devices together.
        """
        raise NotImplementedError(f"{type(self).__name__} must define hear.")

    @override
    def discriminator_logits(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        real_logits, fake_logits = super().discriminator_logits(real, fake, condition)
        self.real_logits = real_logits.detach()
        return real_logits, fake_logits

    @override
    def discriminator_objective(self, batch: Batch) -> dict[str, Tensor]:
        terms = super().discriminator_objective(batch)
        # Here and not with the logits, which others may ask for in the generator's turn.
        signs = self.real_logits.float().sign()
        self.real_signs = self.real_signs.to(signs.device) + torch.stack([signs.sum(), torch.ones_like(signs).sum()])
        return terms

    @override
    def exchange(self, parameters: Sequence[nn.Parameter], *, with_statistics: bool) -> None:
        carrier = nn.Parameter(self.real_signs)
        carrier.grad = self.real_signs
        super().exchange([*parameters, carrier], with_statistics=with_statistics)

    @override
    def take_turn(self, index: int, batch: Batch, size: int, *, last: bool, counts: bool) -> dict[str, Tensor]:
        terms = super().take_turn(index, batch, size, last=last, counts=counts)
        if self.game[index].name == "discriminator":
            devices = self.trainer.world_size
            self.hear(self.real_signs * devices, size * devices)  # what was exchanged is their mean
            self.real_signs = torch.zeros_like(self.real_signs)
        return terms
