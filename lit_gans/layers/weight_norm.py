"""Weight Normalization (Salimans & Kingma, NeurIPS 2016, arXiv 1602.07868), with its data-dependent initialisation.

W = g V / ||V||, a norm and a scale g for each output channel: the direction and the length of a weight are learned
apart, or the direction alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrizations

Layer = nn.Linear | _ConvNd
SCALE = "parametrizations.weight.original0"
"""Of g, in a weight-normalized layer."""
ROUNDING = 1e-5
"""Deviations smaller than this share of the mean are none."""


def weight_norm(layer: Layer, *, std: float, learn_scale: bool) -> Layer:
    """The layer with W = g V / ||V||, in place: V from N(0, std^2), g = 1, biases 0.

    Args:
        layer: linear, a convolution or a transposed one.
        std: of V. Lengths do not matter to W, but the longer V is, the less one step of an optimizer turns it.
        learn_scale: learn g; otherwise it is what the initialisation by data makes of it.
    """
    nn.init.normal_(layer.weight, 0.0, std)
    nn.init.zeros_(layer.get_parameter("bias"))
    parametrizations.weight_norm(layer, dim=1 if isinstance(layer, _ConvTransposeNd) else 0)
    nn.init.ones_(_scale(layer)).requires_grad_(learn_scale)
    return layer


def _scale(layer: nn.Module) -> nn.Parameter:
    """G."""
    return layer.get_parameter(SCALE)


@torch.no_grad()
def initialize_by_data(
    network: nn.Module,
    *inputs: Tensor,
    std: float = 1.0,
    mean: Callable[[Tensor], Tensor] = lambda statistic: statistic,
) -> None:
    """Sets scales and biases: each channel's outputs have mean 0 and deviation ``std`` (arXiv 1602.07868, eq. 5).

    Layer after layer in one forward pass: each sees what those before it give once they are set. A channel whose
    outputs are all equal keeps its scale.

    Args:
        network: with weight-normalized layers that have biases, in training mode.
        inputs: what it is shown.
        std: of the outputs.
        mean: over the devices, of what each found.
    """

    def standardize(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
        output = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
        places = [dimension for dimension in range(output.dim()) if dimension != 1]
        shape = [1, -1] + [1] * (output.dim() - 2)
        centre = mean(output.mean(places))
        spread = mean((output - centre.view(shape)).square().mean(places)).sqrt()
        varies = spread > ROUNDING * centre.abs()
        factor = torch.where(varies, std / spread, 1.0)
        scale, bias = _scale(layer), layer.get_parameter("bias")
        scale.mul_(factor.view_as(scale))
        bias.copy_((bias - centre) * factor)
        return (output - centre.view(shape)) * factor.view(shape)

    normalized = [m for m in network.modules() if isinstance(m, Layer) and SCALE in dict(m.named_parameters())]
    handles = [layer.register_forward_hook(standardize) for layer in normalized]
    try:
        with torch.compiler.set_stance("force_eager"):
            network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
