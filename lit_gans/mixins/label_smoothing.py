"""One-sided label smoothing: Improved Techniques for Training GANs (Salimans et al. 2016, arXiv 1606.03498)."""

from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override

from lit_gans.gan import GAN


class OneSidedLabelSmoothing(GAN):
    """Real samples get the label ``smooth_target`` instead of 1; fakes keep theirs (arXiv 1606.03498, section 3.4).

    With a fake label b > 0 the best discriminator (a p_data + b p_g) / (p_data + p_g) would be b where there is no
    data, and fakes there would feel no pull towards it: hence one side only. The other is possible, and warns.

    Args:
        smooth_target: a, the label of real samples, above 0 and at most 1.
        smooth_fake_target: b, the label of fakes, at least 0 and below a; 0 leaves the model's own.
        rest: options of the model.

    Raises:
        ValueError: if a label is out of its range, or the model's loss has no labels.
    """

    def __init__(self, *, smooth_target: float = 0.9, smooth_fake_target: float = 0.0, **rest: Any) -> None:
        super().__init__(**rest)
        if not 0 < smooth_target <= 1:
            raise ValueError(f"smooth_target must be above 0 and at most 1, got {smooth_target}.")
        if not 0 <= smooth_fake_target < smooth_target:
            raise ValueError(
                f"smooth_fake_target must be at least 0 and below smooth_target={smooth_target}, got "
                f"{smooth_fake_target}."
            )
        self.smooth_target, self.smooth_fake_target = smooth_target, smooth_fake_target

    @override
    def check(self) -> None:
        super().check()
        if not self.has_labels:
            raise ValueError(
                "label_smoothing softens the labels of the discriminator's loss, and this model's loss has none: a "
                "Wasserstein, hinge or relativistic critic gives scores, not probabilities. Leave it out, or use "
                "model=dcgan without tricks that replace its loss (tricks.relativistic=null)."
            )
        self.real_target = self.smooth_target
        if self.smooth_fake_target:
            self.fake_target = self.smooth_fake_target
            rank_zero_warn(
                f"smooth_fake_target={self.fake_target} smooths the labels of fakes too: where there is no data the "
                "best discriminator then says that much instead of 0 however many fakes are there, so they feel no "
                "pull towards the data. Use tricks.label_smoothing.smooth_fake_target=0 if you do not mean that."
            )
