"""Feature matching: Improved Techniques for Training GANs (Salimans et al., NeurIPS 2016, arXiv 1606.03498)."""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.gan import GAN
from lit_gans.layers.capture import captured, check_layer


class FeatureMatching(GAN):
    """The generator minimises w |E f(x) - E f(G(z))|, f what a layer of the discriminator finds (section 3.1).

    Instead of its loss, or besides; the discriminator plays on as it did. Each mean is over the batch of one device, or
    of its part, and over space, so that several devices are not quite one with the whole batch. Where the discriminator
    looks ahead (``unrolled``) the mean of the real samples depends on the generator, too, and is differentiated. The
    discriminator sees the real samples once more in the generator's turn, in training mode; batch norm keeps account of
    them there as of the fakes.

    Args:
        fm_replace: take the term for the loss, as in the paper; otherwise it is added to the loss.
        fm_weight: w, above 0; 0, where the term is no more than added, leaves it out.
        fm_norm: ``l1`` for the mean of |m_real - m_fake|, ``l2`` for that of its square.
        fm_layer: the name of the layer in the discriminator whose output f is; None for the input of the last layer.
        rest: options of the model.

    Raises:
        ValueError: if an option is out of its range, or the discriminator has no such layer.
    """

    def __init__(
        self,
        *,
        fm_replace: bool = True,
        fm_weight: float = 1.0,
        fm_norm: str = "l1",
        fm_layer: str | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if fm_weight < 0 or (fm_replace and fm_weight == 0):
            raise ValueError(f"fm_weight must be above 0, got {fm_weight}.")
        if fm_norm not in ("l1", "l2"):
            raise ValueError(f"fm_norm must be 'l1' or 'l2', got {fm_norm!r}.")
        self.fm_replace, self.fm_weight, self.fm_norm, self.fm_layer = fm_replace, fm_weight, fm_norm, fm_layer

    @override
    def check(self) -> None:
        super().check()
        check_layer(self.discriminator, self.fm_layer or "output", "tricks.feature_matching.fm_layer")

    def matching(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """The weighted term."""
        layer = self.discriminator.get_submodule(self.fm_layer or "output")
        with captured(layer, inputs=not self.fm_layer) as seen:
            for x in (real, fake):
                self.discriminate(x, condition)
        features = seen[:: len(seen) // 2]  # of the first time, should a pass use the layer several times
        return self.fm_weight * losses.feature_distance(*features, squared=self.fm_norm == "l2")

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return (self.matching if self.fm_replace else super().generator_loss)(real, fake, condition)

    @override
    def generator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        others = super().generator_penalty(real, fake, condition)
        return others if self.fm_replace or not self.fm_weight else others + self.matching(real, fake, condition)
