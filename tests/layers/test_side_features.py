"""What joins the input of a last layer is what a larger last layer of the concatenation would see."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from lit_gans.layers.minibatch_discrimination import MinibatchDiscrimination
from lit_gans.layers.minibatch_stddev import MinibatchStddev
from lit_gans.layers.side_features import SideFeatures, add_side_features, last_layer


class Squares(nn.Module):
    """Two features: the sum of the squares, and minus it."""

    def forward(self, x: Tensor) -> Tensor:
        total = x.square().sum(1, keepdim=True)
        return torch.cat([total, -total], 1)


class Network(nn.Module):
    def __init__(self, output: nn.Module) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        return self.output(x)


LAYERS = {"linear": (nn.Linear(6, 3), (6,)), "conv": (nn.Conv2d(2, 3, (3, 1), bias=False), (2, 3, 1))}


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("kind", LAYERS)
def test_it_is_one_layer_of_the_concatenation(kind: str, n: int) -> None:
    output, shape = LAYERS[kind]
    network = Network(output)
    add_side_features(network, lambda seen: Squares() if seen == 6 else nn.Identity(), 2, "a trick")
    x = torch.randn(n, *shape)
    joined = torch.cat([x.flatten(1), Squares()(x.flatten(1))], 1)
    weight = torch.cat([output.weight.flatten(1), network.output.linear.weight], 1)
    logits = network(x)
    assert logits.shape == (n, 3) if kind == "linear" else (n, 3, 1, 1)
    torch.testing.assert_close(logits.flatten(1), nn.functional.linear(joined, weight, output.bias))


def test_channels_last_maps_keep_the_order_of_their_features() -> None:
    network = Network(nn.Conv2d(2, 1, 3))
    add_side_features(network, lambda _: nn.Linear(18, 4), 4, "a trick")
    x = torch.randn(5, 2, 3, 3)
    torch.testing.assert_close(network(x.to(memory_format=torch.channels_last)), network(x))


@pytest.mark.parametrize("first", ["discrimination", "stddev"])
def test_two_of_them_add_up_in_either_order(first: str) -> None:
    torch.manual_seed(0)
    make = {
        "discrimination": (partial(MinibatchDiscrimination, kernels=4, dims=2), 4),
        "stddev": (lambda _: MinibatchStddev(None), 1),
    }
    network = Network(nn.Linear(6, 1))
    for name in sorted(make, key=lambda name: name != first):
        add_side_features(network, *make[name], name)
    x = torch.randn(8, 6)
    outer, inner = network.output, network.output.output
    assert isinstance(inner, SideFeatures)
    assert last_layer(outer) is inner.output
    expected = inner.output(x) + sum(side.linear(side.features(x)) for side in (outer, inner))
    torch.testing.assert_close(network(x), expected)


def test_the_new_weights_are_like_the_old_ones() -> None:
    torch.manual_seed(0)
    output = nn.Linear(1000, 1)
    nn.init.normal_(output.weight, 0.0, 0.02)
    side = SideFeatures(output, Squares(), 1000)
    assert float(side.linear.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert side.linear.bias is None


def test_a_network_without_such_a_layer_is_refused() -> None:
    for network in (nn.ReLU(), Network(nn.ReLU())):
        with pytest.raises(ValueError, match=r"my_trick adds to .* attribute `output`, .* use model=dcgan, or leave"):
            add_side_features(network, lambda _: Squares(), 2, "my_trick")
