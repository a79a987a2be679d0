"""What goes through a module is copied before the next one can change it."""

import torch
from torch import nn

from lit_gans.layers.capture import captured


def test_outputs_are_those_of_the_layer_itself() -> None:
    """A ReLU in place would otherwise overwrite them."""
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    x = torch.randn(8, 3)
    with captured(network[0]) as seen:
        network(x)
        network(2 * x)
    assert bool((seen[0] < 0).any())
    assert torch.equal(seen[0], network[0](x))
    assert torch.equal(seen[1], network[0](2 * x))
    network(x)
    assert len(seen) == 2


def test_inputs_carry_their_history() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    x = torch.randn(8, 3, requires_grad=True)
    with captured(network[2], inputs=True) as seen:
        network(x)
    hidden = network[:2](x)
    assert torch.equal(seen[0], hidden)
    ours, theirs = (torch.autograd.grad(h.sum(), x)[0] for h in (seen[0], hidden))
    assert torch.equal(ours, theirs)


def test_a_compiled_network_is_looked_into_as_well() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    network.compile(backend="eager")
    network(torch.randn(2, 3))
    with captured(network[0]) as seen:
        network(torch.randn(2, 3))
    assert len(seen) == 1


def test_the_hook_goes_even_after_an_error() -> None:
    layer = nn.Linear(3, 4)
    try:
        with captured(layer):
            raise KeyError
    except KeyError:
        pass
    assert not layer._forward_hooks
