"""Weight clipping: Wasserstein GAN (Arjovsky, Chintala, Bottou, ICML 2017, arXiv 1701.07875).

The clipping alone, for any loss; the model ``wgan`` has it together with the Wasserstein loss.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized
from typing_extensions import override

from lit_gans.game import Batch
from lit_gans.gan import GAN


class WeightClipping(GAN):
    """All parameters of the discriminator lie in [-c, c] in every turn of either player (arXiv 1701.07875, alg. 1).

    They are clipped before each of its turns, as in the released code, and after it, as in the paper: otherwise the
    generator would face weights that lie one step outside. Gains and biases of normalization layers are clipped too.

    Args:
        clip_value: c, above 0.
        rest: options of the model.

    Raises:
        ValueError: if ``clip_value`` is not above 0, or another trick leaves the clipped weights no meaning.
    """

    def __init__(self, *, clip_value: float = 0.01, **rest: Any) -> None:
        super().__init__(**rest)
        if clip_value <= 0:
            raise ValueError(f"clip_value must be above 0, got {clip_value}.")
        self.clip_value = clip_value

    @override
    def check(self) -> None:
        super().check()
        if any(cls.__name__ == "Unrolled" for cls in type(self).__mro__):
            raise ValueError(
                "unrolled differentiates through the discriminator's steps, and weight_clipping cuts each step off: "
                "use model=wgan_gp instead of clipping, or set tricks.unrolled=null."
            )
        if any(is_parametrized(module) for module in self.discriminator.modules()):
            raise ValueError(
                "weight_clipping bounds weights that spectral_norm rescales to norm 1 afterwards, whatever their size: "
                "set tricks.spectral_norm=null, or leave it out, or use model=dcgan with spectral_norm alone."
            )

    @override
    def take_turn(self, index: int, batch: Batch, size: int, *, last: bool, counts: bool) -> dict[str, Tensor]:
        self.clip(index)
        terms = super().take_turn(index, batch, size, last=last, counts=counts)
        self.clip(index)
        return terms

    @torch.no_grad()
    def clip(self, index: int) -> None:
        """Clips the weights, if the player ``index`` is the one who moves them."""
        if self.discriminator in self.game[index].networks:
            for parameter in self.discriminator.parameters():
                parameter.clamp_(-self.clip_value, self.clip_value)
