"""What tricks let join the input of a network's last layer, which is its attribute ``output``."""

from collections.abc import Callable

from torch import Tensor, nn


class SideFeatures(nn.Module):
    """A last layer that sees its input x, and features of x besides.

    A linear layer of a concatenation is the sum of two: output(x) + linear(features(x)).

    Args:
        output: the last layer: linear, or a convolution that leaves one place; or another of this class.
        features: from ``(N, A)``, x flattened, to ``(N, count)``.
        count: how many features.
    """

    def __init__(self, output: nn.Module, features: nn.Module, count: int) -> None:
        super().__init__()
        self.output, self.features = output, features
        last = last_layer(output)
        outputs = last.out_features if isinstance(last, nn.Linear) else last.out_channels
        self.linear = nn.Linear(count, outputs, bias=False)
        # As if it had been a part of the last layer from the start.
        nn.init.normal_(self.linear.weight, std=float(last.weight.detach().std(correction=0)))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(x)
        side: Tensor = self.linear(self.features(x.flatten(1)))
        return logits + side.view(logits.shape)


def last_layer(output: object) -> nn.Linear | nn.Conv2d:
    """The layer itself, below what joined its input already.

    Raises:
        TypeError: if it is neither linear nor a convolution.
    """
    if isinstance(output, SideFeatures):
        return last_layer(output.output)
    if isinstance(output, nn.Linear | nn.Conv2d):
        return output
    raise TypeError(f"The last layer of a network must be a Linear or a Conv2d, got {type(output).__name__}.")


def add_side_features(network: nn.Module, make: Callable[[int], nn.Module], count: int, trick: str) -> None:
    """Lets features of the last layer's input join it, in place.

    Args:
        network: whose ``output`` is its last layer.
        make: from A, the numbers that the last layer sees of a sample, to what makes the features of them.
        count: how many features.
        trick: who asks for it, for the error.

    Raises:
        ValueError: if the network has no such layer.
    """
    try:
        last = last_layer(getattr(network, "output", None))
    except TypeError as error:
        raise ValueError(
            f"{trick} adds to the input of the discriminator's last layer, which must be its attribute `output`, a "
            "Linear or a Conv2d, and this one has none: use model=dcgan, or leave it out."
        ) from error
    seen = last.in_features if isinstance(last, nn.Linear) else last.weight[0].numel()
    network.output = SideFeatures(network.get_submodule("output"), make(seen), count)
