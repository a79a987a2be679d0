"""Lazy regularization: Analyzing and Improving the Image Quality of StyleGAN (Karras et al. 2020, arXiv 1912.04958)."""

from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans.gan import GAN


class LazyPenalties(GAN):
    """Every k-th discriminator turn has k times the penalties of the tricks named after it, the others have none.

    StyleGAN2 takes the penalty in a step of its own and rescales Adam's rate and betas for the extra steps (arXiv
    1912.04958, appendix B); here it is part of an ordinary turn, so that the factor k alone keeps its average weight.
    All that extends ``discriminator_penalty`` and is named after it is lazy, historical averaging and consistency
    regularisation too; what is named before it is felt in every turn.

    Args:
        lazy_every: k, at least 1.
        rest: options of the model.

    Raises:
        ValueError: if ``lazy_every`` is below 1, or there is no penalty after it.
    """

    def __init__(self, *, lazy_every: int = 16, **rest: Any) -> None:
        super().__init__(**rest)
        if lazy_every < 1:
            raise ValueError(f"lazy_every must be at least 1, got {lazy_every}.")
        self.lazy_every = lazy_every

    @override
    def check(self) -> None:
        super().check()
        order = type(self).__mro__
        after = set(order[order.index(LazyPenalties) + 1 :]) - {GAN}
        if not any("discriminator_penalty" in vars(cls) for cls in after):
            raise ValueError(
                "lazy thins out the discriminator's penalties that come after it, and there is none: name it before "
                "them, as in tricks=[lazy,r1], or leave it out."
            )

    @override
    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        if self.turns_taken["discriminator"] % self.lazy_every:
            return real.new_zeros(())
        return self.lazy_every * super().discriminator_penalty(real, fake, condition)
