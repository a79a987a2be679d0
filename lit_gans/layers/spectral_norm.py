"""Spectral Normalization for Generative Adversarial Networks (Miyato et al., ICLR 2018, arXiv 1802.05957)."""

from torch import Tensor, autocast, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization
from typing_extensions import override


class FullPrecision(_SpectralNorm):
    """W / s(W), s by power iteration outside autocast: in bf16 it would be wrong in the third digit."""

    @override
    def forward(self, weight: Tensor) -> Tensor:
        with autocast(weight.device.type, enabled=False):
            normalized: Tensor = super().forward(weight)
        return normalized


def normalize_spectrally(network: nn.Module, iterations: int = 1) -> None:
    """Divides every weight matrix of a network by its largest singular value, in place (arXiv 1802.05957, eq. 8).

    The weights of linear layers, convolutions and transposed convolutions, as matrices with a row for each output
    channel. The singular value is u'Wv; each forward pass in training mode first improves the buffers u and v by some
    steps of power iteration (algorithm 1). The gradient flows through W, u and v are constants.

    Args:
        network: whose layers are parametrized.
        iterations: of the power method in each forward pass in training mode.

    Raises:
        ValueError: if a weight is zero, which has no direction to keep.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear | _ConvNd):
            if not module.weight.any():
                raise ValueError(
                    f"spectral_norm divides each weight by its largest singular value, and that of {name!r} is 0 at "
                    "the start: use model=sngan, or leave it out (tricks.spectral_norm=null)."
                )
            rows = 1 if isinstance(module, _ConvTransposeNd) else 0
            register_parametrization(module, "weight", FullPrecision(module.weight, iterations, rows))
