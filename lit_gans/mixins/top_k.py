"""Top-k Training of GANs (Sinha, Zhao, Goyal, Raffel, Odena, NeurIPS 2020, arXiv 2002.06224).

Samples that the discriminator finds least real can be pushed away from the data by their own gradient. The paper starts
with the whole batch, as a new discriminator knows little, and multiplies k by a constant after every epoch, 0.99, down
to a share of the batch, 1/2.
"""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import losses
from lit_gans.gan import GAN
from lit_gans.mixins.feature_matching import FeatureMatching


class TopK(GAN):
    """The generator's loss looks at its k best samples alone; the others have no gradient.

    k = max(top_k_minimum, top_k_decay^(updates // top_k_every)) N, rounded down, N the samples of one device's batch,
    or of its part.

    Args:
        top_k_decay: the factor, in (0, 1].
        top_k_every: generator updates from one decay to the next, at least 1: about an epoch in the paper.
        top_k_minimum: the share of the batch where the decay ends, in (0, 1].
        rest: options of the model.

    Raises:
        ValueError: if an option is out of its range, or the generator's loss does not look at single logits.
    """

    def __init__(
        self, *, top_k_decay: float = 0.99, top_k_every: int = 500, top_k_minimum: float = 0.5, **rest: Any
    ) -> None:
        super().__init__(**rest)
        for name, value in (("top_k_decay", top_k_decay), ("top_k_minimum", top_k_minimum)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {value}.")
        if top_k_every < 1:
            raise ValueError(f"top_k_every must be at least 1, got {top_k_every}.")
        self.top_k_decay, self.top_k_every, self.top_k_minimum = top_k_decay, top_k_every, top_k_minimum

    @override
    def check(self) -> None:
        super().check()
        if any(cls.__name__ == "Relativistic" for cls in type(self).__mro__):
            raise ValueError(
                "A relativistic loss compares every fake with real samples, and top_k leaves some fakes out: name one "
                "of the two, or set tricks.top_k=null."
            )
        if isinstance(self, FeatureMatching) and self.fm_replace:
            raise ValueError(
                "top_k picks among logits, and feature_matching looks at features in their place: set "
                "tricks.feature_matching.fm_replace=false, or tricks.top_k=null."
            )

    @override
    def generator_logits(self, fake: Tensor, condition: Tensor | None) -> Tensor:
        decayed = self.top_k_decay ** (self.turns_taken["generator"] // self.top_k_every)
        return losses.highest(super().generator_logits(fake, condition), max(self.top_k_minimum, decayed))
