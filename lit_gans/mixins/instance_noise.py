"""Instance noise: Amortised MAP Inference for Image Super-resolution (Sønderby et al., ICLR 2017, arXiv 1610.04490).

Also Towards Principled Methods for Training GANs (Arjovsky & Bottou, ICLR 2017, arXiv 1701.04862): with noise
on both, data and samples overlap, and no discriminator tells them apart for certain.
"""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.gan import GAN


class InstanceNoise(GAN):
    """All that the discriminator sees, real or fake, in both turns, has noise from N(0, sigma^2 I) of its own.

    sigma falls linearly to 0, which it has reached after ``noise_updates``; from there on the samples are shown as they
    are. Images are in [-1, 1].

    Args:
        noise_sigma: sigma at the start, at least 0.
        noise_updates: generator updates until sigma is 0, at least 1; None for the whole run, ``trainer.max_steps``.
        rest: options of the model.

    Raises:
        ValueError: if an option is out of its range, or the length of the run is needed and not known.
    """

    def __init__(self, *, noise_sigma: float = 0.1, noise_updates: int | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        if noise_sigma < 0:
            raise ValueError(f"noise_sigma must be at least 0, got {noise_sigma}.")
        if noise_updates is not None and noise_updates < 1:
            raise ValueError(f"noise_updates must be at least 1, or null for the whole run, got {noise_updates}.")
        self.noise_sigma, self.noise_updates, self.noise_length = noise_sigma, noise_updates, noise_updates or 1

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.noise_length = self.noise_updates or self.trainer.max_steps
        if self.noise_length < 1:
            raise ValueError(
                "instance_noise must know the length of the run, at whose end there is no noise: set "
                "tricks.instance_noise.noise_updates or trainer.max_steps."
            )

    @property
    def sigma(self) -> float:
        """The standard deviation of the noise as of now."""
        return self.noise_sigma * max(0.0, 1 - self.global_step / self.noise_length)

    @override
    def discriminator_input(self, x: Tensor) -> Tensor:
        x = super().discriminator_input(x)
        return x + self.sigma * torch.randn_like(x) if self.sigma else x
