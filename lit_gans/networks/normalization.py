"""The choice of a normalization layer by name."""

import math

from torch import nn

from lit_gans.layers.virtual_batch_norm import VirtualBatchNorm

NORMALIZATIONS = ("batch", "instance", "layer", "group", "none")
"""Those that a model may be asked for; ``virtual`` comes with a trick, which gives it a reference batch."""

CHANNELS_OF_A_GROUP = 16


def normalization(name: str, channels: int, *, spatial: bool = True, affine: bool = True) -> nn.Module:
    """A normalization over ``(N, channels, H, W)``, or over ``(N, channels)`` if not ``spatial``.

    ``batch`` (Ioffe & Szegedy 2015, arXiv 1502.03167), ``instance`` (Ulyanov et al. 2016, arXiv 1607.08022), ``layer``
    (over C, H and W; Ba et al. 2016, arXiv 1607.06450), ``group`` (16 channels to a group; Wu & He 2018, arXiv
    1803.08494), ``virtual`` (Salimans et al. 2016, arXiv 1606.03498) or ``none``.

    Args:
        name: of the normalization.
        channels: of its input.
        spatial: whether the input has a height and a width.
        affine: whether each channel has a gain and a bias.

    Raises:
        ValueError: if the name is unknown, or the layer needs an image and there is none.
    """
    match name:
        case "batch":
            return nn.BatchNorm2d(channels, affine=affine) if spatial else nn.BatchNorm1d(channels, affine=affine)
        case "instance" if spatial:
            return nn.InstanceNorm2d(channels, affine=affine)
        case "layer":
            return nn.GroupNorm(1, channels, affine=affine)
        case "group":
            groups = math.gcd(channels, max(1, channels // CHANNELS_OF_A_GROUP))
            return nn.GroupNorm(groups, channels, affine=affine)
        case "virtual":
            return VirtualBatchNorm(channels, affine=affine)
        case "none":
            return nn.Identity()
    possible = [known for known in NORMALIZATIONS if spatial or known != "instance"]
    raise ValueError(f"There is no normalization called {name!r}. Possible: {', '.join(possible)}.")
