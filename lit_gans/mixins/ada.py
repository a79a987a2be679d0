"""Adaptive augmentation: Training GANs with Limited Data (Karras et al., NeurIPS 2020, arXiv 2006.06676)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import augmentations
from lit_gans.layers.adaptive_probability import AdaptiveProbability
from lit_gans.signs import RealSigns


class AdaptiveAugmentation(RealSigns):
    """All that the discriminator sees, in both turns, is augmented as often as it overfits.

    Each augmentation of :func:`lit_gans.augmentations.ada` has the probability p. Every few of its turns p rises if
    r_t, the mean sign of its logits of real samples on all devices, is above the target, and falls if it is below
    (arXiv 2006.06676, section 3). They are logged as ``ada/p`` and ``ada/r_t``.

    Args:
        ada_target: of r_t, in [-1, 1].
        ada_interval: discriminator turns from one adjustment of p to the next, at least 1.
        ada_images: real images, of all devices together, that p takes from 0 to 1.
        ada_start: p at the start, in [0, 1].
        rest: options of the model.

    Raises:
        ValueError: if an option is out of its range, the samples are no images, or the sign of a logit means nothing.
    """

    def __init__(
        self,
        *,
        ada_target: float = 0.6,
        ada_interval: int = 4,
        ada_images: int = 500_000,
        ada_start: float = 0.0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.ada = AdaptiveProbability(ada_target, ada_interval, ada_images, ada_start)

    @override
    def check(self) -> None:
        super().check()
        augmentations.check_images(self.sample_shape, "ada")

    @override
    def discriminator_input(self, x: Tensor) -> Tensor:
        return augmentations.ada(super().discriminator_input(x), self.ada.p)

    @override
    def hear(self, signs: Tensor, images: int) -> None:
        self.ada.hear(signs)
        if self.turns_taken["discriminator"] % self.ada.interval == 0:
            self.ada.adjust(self.ada.interval * images)

    @override
    def publish(self, values: Mapping[str, float]) -> None:
        super().publish({**values, "ada/p": float(self.ada.p), "ada/r_t": float(self.ada.r_t)})
