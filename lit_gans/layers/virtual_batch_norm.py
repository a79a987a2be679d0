"""Virtual batch normalization: Improved Techniques for Training GANs (Salimans et al. 2016, arXiv 1606.03498)."""

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class VirtualBatchNorm(nn.Module):
    """Normalizes each sample by the statistics of a reference batch and its own (arXiv 1606.03498, section 3.5).

    The first B samples of its input ``(B + N, channels, ...)`` are the reference batch's activations, with the mean
    m_ref and mean square q_ref of each channel, and are normalized by these. Any other sample i, whose own are m_i and
    q_i over space, is normalized by m = m_i / (B + 1) + m_ref B / (B + 1) and q likewise:

        gain (x - m) / sqrt(1e-5 + q - m^2) + bias

    So no sample depends on another one of its batch. Gradients flow through the reference batch too, as in the paper's
    code. Computed in at least float32.

    Args:
        channels: of the input.
        affine: whether there are a gain, N(1, 0.02^2) at the start, and a bias, 0.

    Attributes:
        reference_size: B; given by the :class:`WithReference` around the network.
    """

    def __init__(self, channels: int, *, affine: bool = True) -> None:
        super().__init__()
        self.reference_size = 0
        self.weight = nn.Parameter(torch.empty(channels).normal_(1.0, 0.02)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.reference_size:
            raise ValueError(
                "Virtual batch norm needs a reference batch, which the generator has with tricks=[virtual_batch_norm] "
                "and the discriminator never."
            )
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        mean, variance = self._statistics(wide.unsqueeze(-1))
        normalized = (wide - mean.squeeze(-1)) * (variance.squeeze(-1) + EPSILON).rsqrt()
        if self.weight is not None and self.bias is not None:
            shape = (-1, *[1] * (x.dim() - 2))
            normalized = normalized * self.weight.view(shape) + self.bias.view(shape)
        return normalized.to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each sample and channel, ``(B + N, channels, 1, ...)``, from ``(B + N, channels, ...)``.

        q - m^2 as the variance of a mixture, a sum of squares: a difference of large numbers could become negative.
        """
        space, size = list(range(2, x.dim())), self.reference_size
        reference_variance, reference_mean = torch.var_mean(x[:size], [0, *space], correction=0, keepdim=True)
        own_variance, own_mean = torch.var_mean(x[size:], space, correction=0, keepdim=True)
        own, others = 1 / (size + 1), size / (size + 1)
        mean = own * own_mean + others * reference_mean
        variance = own * own_variance + others * reference_variance
        variance = variance + own * others * (own_mean - reference_mean).square()
        every = (size, *reference_mean.shape[1:])
        return torch.cat([reference_mean.expand(every), mean]), torch.cat([reference_variance.expand(every), variance])


class WithReference(nn.Module):
    """A generator that a fixed reference batch goes through ahead of every batch, with the weights of the moment.

    Args:
        network: from latents and a condition to samples; its virtual batch norms learn the size of the reference.
        latent: of the reference batch, ``(B, latent_dim)``.
        condition: of the reference batch, ``(B, ...)``; None for an unconditional network.
    """

    latent: Tensor
    condition: Tensor | None

    def __init__(self, network: nn.Module, latent: Tensor, condition: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("latent", latent)
        self.register_buffer("condition", condition)
        for module in network.modules():
            if isinstance(module, VirtualBatchNorm):
                module.reference_size = len(latent)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        if condition is not None and self.condition is not None:
            condition = torch.cat([self.condition, condition])
        samples: Tensor = self.network(torch.cat([self.latent, latent]), condition)
        return samples[len(self.latent) :]
