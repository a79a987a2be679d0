"""DiffAugment: Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al. 2020, arXiv 2006.10738)."""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import augmentations
from lit_gans.gan import GAN

POLICY = list(augmentations.POLICIES)


class DiffAugment(GAN):
    """The discriminator sees T(x) and T(G(z)) in both turns, and the generator learns through T (section 3).

    T is drawn anew for each sample whenever it is shown. Augmenting real samples alone would teach the generator to
    augment; augmenting in the discriminator's turn alone would leave its two views of fakes apart.

    Args:
        diff_augment_policy: of ``color``, ``translation`` and ``cutout``, in the order in which they are applied; all
            three if not given. The paper's CIFAR-10 runs on all data have ``translation`` and ``cutout``.
        rest: options of the model.

    Raises:
        ValueError: if the policy is empty or names something else, or the model's samples are no images.
    """

    def __init__(self, *, diff_augment_policy: list[str] = POLICY, **rest: Any) -> None:
        super().__init__(**rest)
        unknown = [name for name in diff_augment_policy if name not in augmentations.POLICIES]
        if unknown or not diff_augment_policy:
            named = f"knows no {unknown[0]!r}" if unknown else "is empty"
            raise ValueError(f"diff_augment_policy {named}. Possible: {', '.join(augmentations.POLICIES)}.")
        self.diff_augment_policy = diff_augment_policy

    @override
    def check(self) -> None:
        super().check()
        augmentations.check_images(self.sample_shape, "diff_augment")

    @override
    def discriminator_input(self, x: Tensor) -> Tensor:
        return augmentations.diff_augment(super().discriminator_input(x), self.diff_augment_policy)
