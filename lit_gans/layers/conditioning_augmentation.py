"""Conditioning augmentation: StackGAN (Zhang et al., ICCV 2017, arXiv 1612.03242, section 3.2).

A text is not one point to the generator but a Gaussian around it: few texts cover the space between them, and one text
has many images.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, leaky_relu

FORMS = ("log_std", "log_variance", "rectified", "glu", "none")


class ConditioningAugmentation(nn.Module):
    """c = mu(t) + sigma(t) eps, eps from N(0, I), for embeddings ``(N, text_dim)`` of texts.

    Args:
        text_dim: length of an embedding.
        dim: length of c.
        form: what a linear layer of t gives besides mu: ``log_std``, log sigma, both leakily rectified as in the
            authors' first code; ``log_variance``, log sigma^2; ``rectified``, the same, both rectified as in their
            second code, so that no mu is below 0, and no sigma below 1; ``glu``, the same from a gated linear unit, as
            in StackGAN++ (arXiv 1710.10916); ``none`` for nothing, sigma = 0: no augmentation.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, text_dim: int, dim: int, form: str = "log_std") -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"augmentation must be one of {', '.join(FORMS)}, got {form!r}.")
        self.dim, self.form = dim, form
        self.linear = nn.Linear(text_dim, dim * {"glu": 4, "none": 1}.get(form, 2))

    def moments(self, text: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mu and log sigma, ``(N, dim)`` each; None where sigma is 0."""
        both = self.linear(text)
        match self.form:
            case "none":
                return both, None
            case "log_std":
                mean, log_std = leaky_relu(both, 0.2).chunk(2, 1)
                return mean, log_std
            case "glu":
                both = glu(both, 1)
            case "rectified":
                both = both.relu()
        mean, log_variance = both.chunk(2, 1)
        return mean, log_variance / 2

    def forward(self, text: Tensor, noise: Tensor) -> Tensor:
        """C for embeddings ``(N, text_dim)`` and eps ``(N, dim)``."""
        mean, log_std = self.moments(text)
        return mean if log_std is None else torch.addcmul(mean, log_std.exp(), noise)
