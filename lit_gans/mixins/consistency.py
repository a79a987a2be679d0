"""Consistency Regularization for Generative Adversarial Networks (Zhang et al., ICLR 2020, arXiv 1910.12027)."""

from functools import partial
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import augmentations, penalties
from lit_gans.gan import GAN


class ConsistencyRegularization(GAN):
    """The discriminator says the same of a sample and of its augmentation: lambda E(D(T(x)) - D(x))^2.

    T flips and shifts. On real samples alone it is CR; on fakes too it is the balanced bCR (Zhao et al. 2021, arXiv
    2002.04724). Each costs two more passes of the discriminator.

    Args:
        cr_real_weight: lambda on real samples, at least 0.
        cr_fake_weight: lambda on fakes, at least 0; 10 in bCR.
        rest: options of the model.

    Raises:
        ValueError: if a weight is negative, or the model's samples are no images.
    """

    def __init__(self, *, cr_real_weight: float = 10.0, cr_fake_weight: float = 0.0, **rest: Any) -> None:
        super().__init__(**rest)
        for name, weight in (("cr_real_weight", cr_real_weight), ("cr_fake_weight", cr_fake_weight)):
            if weight < 0:
                raise ValueError(f"{name} must be at least 0, got {weight}.")
        self.cr_real_weight, self.cr_fake_weight = cr_real_weight, cr_fake_weight

    @override
    def check(self) -> None:
        super().check()
        augmentations.check_images(self.sample_shape, "consistency")

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        total = super().discriminator_penalty(real, fake, condition)
        critic = partial(self.discriminate, condition=condition)
        for weight, samples in ((self.cr_real_weight, real), (self.cr_fake_weight, fake)):
            if weight:
                total = total + weight * penalties.consistency(critic, samples, augmentations.shift_and_flip)
        return total
