"""Adaptive augmentation: Training GANs with Limited Data (Karras et al., NeurIPS 2020, arXiv 2006.06676)."""

import torch
from torch import Tensor, nn


class AdaptiveProbability(nn.Module):
    """The probability p of augmentations, which rises while the discriminator is too sure of real samples.

    r_t = E sign(D(x)) over the real samples x since the last adjustment (arXiv 2006.06676, eq. 1). Every adjustment
    moves p by a fixed step, up where r_t is above its target and down where it is below. p is counted in images, so
    that its buffers are whole numbers: exact, and left alone by half precision.

    Args:
        target: of r_t, in [-1, 1].
        interval: turns of the discriminator from one adjustment to the next.
        images: that p takes from 0 to 1.
        start: p at the start, in [0, 1].

    Attributes:
        level: p times ``images``.
        heard: the sum of the signs since the last adjustment, and their number, ``(2,)``.
        judged: what was heard before it.

    Raises:
        ValueError: if an option is out of its range.
    """

    level: Tensor
    heard: Tensor
    judged: Tensor

    def __init__(self, target: float, interval: int, images: int, start: float) -> None:
        super().__init__()
        if not -1 <= target <= 1:
            raise ValueError(f"ada_target must be in [-1, 1], got {target}.")
        for name, value in (("ada_interval", interval), ("ada_images", images)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if not 0 <= start <= 1:
            raise ValueError(f"ada_start must be in [0, 1], got {start}.")
        self.target, self.interval, self.images = target, interval, images
        self.register_buffer("level", torch.tensor(round(start * images)))
        self.register_buffer("heard", torch.zeros(2, dtype=torch.long))
        self.register_buffer("judged", torch.zeros(2, dtype=torch.long))

    @property
    def p(self) -> Tensor:
        """The probability, a scalar in [0, 1]."""
        return self.level / self.images

    @property
    def r_t(self) -> Tensor:
        """The mean sign that the last adjustment went by, a scalar in [-1, 1]; 0 before the first one."""
        return self.judged[0] / self.judged[1].clamp_min(1)

    def hear(self, signs: Tensor) -> None:
        """Takes in a sum of signs and their number, ``(2,)``."""
        self.heard += signs.round().long()

    def adjust(self, images: int) -> None:
        """Moves p by the share of ``images`` that were seen since the last adjustment."""
        self.judged.copy_(self.heard)
        self.heard.zero_()
        self.level += (self.r_t - self.target).sign().long() * images
        self.level.clamp_(0, self.images)
