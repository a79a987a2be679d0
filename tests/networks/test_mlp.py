"""Fully connected networks for samples of any shape."""

import pytest
import torch
from torch import nn

from lit_gans.networks.mlp import MLPDiscriminator, MLPGenerator, initialize


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(network, x):
    """Matrix products with a rectifier between each two."""
    weights = [parameter.detach() for parameter in network.parameters()]
    for position in range(0, len(weights), 2):
        x = (x if position == 0 else x.clamp_min(0)) @ weights[position].T + weights[position + 1]
    return x


@pytest.mark.parametrize("hidden", [[], [5], [5, 7]])
@pytest.mark.parametrize(
    "make", [lambda hidden: MLPGenerator(3, (2,), hidden), lambda hidden: MLPDiscriminator((3,), hidden)]
)
def test_layers(make, hidden):
    torch.manual_seed(0)
    network, x = make(hidden), noise(8, 3)
    linear = [(layer.in_features, layer.out_features) for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert linear == list(zip([3, *hidden], [*hidden, network.output.out_features], strict=True))
    assert sum(isinstance(layer, nn.ReLU) for layer in network.modules()) == len(hidden)
    torch.testing.assert_close(network(x).view(8, -1), by_hand(network, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["batch", "layer", "group"])
def test_normalization_is_everywhere_but_at_the_ends(norm):
    kind = {"batch": nn.BatchNorm1d, "layer": nn.GroupNorm, "group": nn.GroupNorm}[norm]
    makes, judges = MLPGenerator(4, (2,), [32, 32], norm), MLPDiscriminator((2,), [32, 32], norm)
    assert [type(layer) for layer in makes.hidden] == [nn.Linear, kind, nn.ReLU] * 2
    assert [type(layer) for layer in judges.hidden] == [nn.Linear, nn.Identity, nn.ReLU, nn.Linear, kind, nn.ReLU]


def test_orthogonal_initial_weights():
    torch.manual_seed(0)
    network = MLPDiscriminator((2,), [8, 8])
    plain = network.output.weight.clone()
    initialize(network, None)
    assert torch.equal(network.output.weight, plain)
    initialize(network, 0.8)
    weight = network.hidden[3].weight
    torch.testing.assert_close(weight @ weight.T, 0.64 * torch.eye(8), rtol=0, atol=1e-6)
    assert all(not layer.bias.any() for layer in network.modules() if isinstance(layer, nn.Linear))
    with pytest.raises(ValueError, match="orthogonal_gain must be above 0"):
        initialize(network, 0.0)


@pytest.mark.parametrize("sample_shape", [(2,), [2], (1, 8, 8), (3, 2, 2, 2)])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_shapes(sample_shape, n):
    torch.manual_seed(1)
    makes, judges = MLPGenerator(4, sample_shape, [16, 16]), MLPDiscriminator(sample_shape, [16, 16])
    samples = makes(noise(n, 4))
    assert samples.shape == (n, *sample_shape)
    logits = judges(samples)
    assert logits.shape == (n,)
    torch.testing.assert_close(samples.flatten(1), by_hand(makes, noise(n, 4)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits[:, None], by_hand(judges, samples.flatten(1)), rtol=1e-5, atol=1e-6)


def test_samples_are_unbounded():
    makes = MLPGenerator(4, (2,), [16])
    samples = makes(1000 * noise(64, 4))
    assert samples.max() > 2
    assert samples.min() < -2


def test_input_scale_multiplies_the_samples():
    torch.manual_seed(2)
    judges, scaled = MLPDiscriminator((2,), [16]), MLPDiscriminator((2,), [16], input_scale=0.25)
    scaled.load_state_dict(judges.state_dict())
    x = noise(8, 2)
    torch.testing.assert_close(scaled(4 * x), judges(x), rtol=1e-6, atol=1e-7)
    assert not torch.allclose(scaled(x), judges(x), atol=1e-3)


def test_a_condition_changes_nothing():
    makes, judges, label = MLPGenerator(4, (2,), [16]), MLPDiscriminator((2,), [16]), torch.arange(3)
    assert torch.equal(makes(noise(3, 4), label), makes(noise(3, 4)))
    assert torch.equal(judges(noise(3, 2), label), judges(noise(3, 2)))


def test_every_parameter_learns():
    torch.manual_seed(3)
    makes, judges = MLPGenerator(4, (2,), [16, 16]), MLPDiscriminator((2,), [16, 16])
    judges(makes(noise(8, 4))).sum().backward()
    for parameter in [*makes.parameters(), *judges.parameters()]:
        assert parameter.grad.abs().sum() > 0
