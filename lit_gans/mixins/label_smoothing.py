"""One-sided label smoothing: Improved Techniques for Training GANs (Salimans et al. 2016, arXiv 1606.03498)."""

from typing import Any

from typing_extensions import override

from lit_gans.gan import GAN


class OneSidedLabelSmoothing(GAN):
    """Real samples get the label ``smooth_target`` instead of 1; fakes keep 0 (arXiv 1606.03498, section 3.4).

    With a fake label b > 0 the best discriminator (a p_data + b p_g) / (p_data + p_g) would be b where there is no
    data, and fakes there would feel no pull towards it: hence one side only.

    Args:
        smooth_target: a, the label of real samples, above 0 and at most 1.
        rest: options of the model.

    Raises:
        ValueError: if ``smooth_target`` is out of its range, or the model's loss has no labels.
    """

    def __init__(self, *, smooth_target: float = 0.9, **rest: Any) -> None:
        super().__init__(**rest)
        if not 0 < smooth_target <= 1:
            raise ValueError(f"smooth_target must be above 0 and at most 1, got {smooth_target}.")
        self.smooth_target = smooth_target

    @override
    def check(self) -> None:
        super().check()
        if not self.has_labels:
            raise ValueError(
                "label_smoothing softens the labels of the discriminator's loss, and this model's loss has none: a "
                "Wasserstein or hinge critic gives scores, not probabilities. Leave it out, or use model=dcgan."
            )
        self.real_target = self.smooth_target
