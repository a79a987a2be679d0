"""The choice of a normalization layer by name."""

from torch import nn

NORMALIZATIONS = ("batch", "instance", "layer", "none")


def normalization(name: str, channels: int) -> nn.Module:
    """A normalization over ``(N, channels, H, W)``: ``batch``, ``instance``, ``layer`` (over C, H, W) or ``none``.

    Raises:
        ValueError: if the name is unknown.
    """
    match name:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "instance":
            return nn.InstanceNorm2d(channels, affine=True)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "none":
            return nn.Identity()
    raise ValueError(f"There is no normalization called {name!r}. Possible: {', '.join(NORMALIZATIONS)}.")
