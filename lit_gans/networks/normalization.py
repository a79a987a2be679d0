"""The choice of a normalization layer by name."""

import math

from torch import nn

NORMALIZATIONS = ("batch", "instance", "layer", "group", "none")
CHANNELS_OF_A_GROUP = 16


def normalization(name: str, channels: int, *, spatial: bool = True) -> nn.Module:
    """A normalization over ``(N, channels, H, W)``, or over ``(N, channels)`` if not ``spatial``.

    ``batch`` (Ioffe & Szegedy 2015, arXiv 1502.03167), ``instance`` (Ulyanov et al. 2016, arXiv 1607.08022), ``layer``
    (over C, H and W; Ba et al. 2016, arXiv 1607.06450), ``group`` (16 channels to a group; Wu & He 2018, arXiv
    1803.08494) or ``none``.

    Raises:
        ValueError: if the name is unknown, or the layer needs an image and there is none.
    """
    match name:
        case "batch":
            return nn.BatchNorm2d(channels) if spatial else nn.BatchNorm1d(channels)
        case "instance" if spatial:
            return nn.InstanceNorm2d(channels, affine=True)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "group":
            return nn.GroupNorm(math.gcd(channels, max(1, channels // CHANNELS_OF_A_GROUP)), channels)
        case "none":
            return nn.Identity()
    possible = [known for known in NORMALIZATIONS if spatial or known != "instance"]
    raise ValueError(f"There is no normalization called {name!r}. Possible: {', '.join(possible)}.")
