"""The networks of StackGAN++ against the sizes that the authors' code has."""

import pytest
import torch
from torch import nn

from lit_gans.networks.stackgan_pp import Branch, ScaleDiscriminator, sizes_of


def channels(network: nn.Module) -> list[int]:
    return [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_the_sizes_of_the_paper() -> None:
    assert sizes_of(256, None) == sizes_of(256, 3) == [64, 128, 256]
    assert (sizes_of(16, None), sizes_of(64, 2)) == ([8, 16], [32, 64])


def test_the_first_branch_of_the_paper() -> None:
    """From 4 pixels of 16 gf channels; twice as many come out of each layer, one half a gate."""
    branch = Branch((3, 64, 64), before=None, width=64, noise=100, dim=128, blocks=2, norm="batch")
    linear = next(layer for layer in branch.modules() if isinstance(layer, nn.Linear))
    assert (linear.in_features, linear.out_features, linear.bias) == (228, 2 * 1024 * 16, None)
    assert channels(branch) == [1024, 512, 256, 128, 3]
    hidden, image = branch(torch.randn(3, 100), torch.randn(3, 128))
    assert (hidden.shape, image.shape) == ((3, 64, 64, 64), (3, 3, 64, 64))


def test_the_next_branches_of_the_paper() -> None:
    branch = Branch((3, 128, 128), before=64, width=64, noise=100, dim=128, blocks=2, norm="batch")
    joint = next(layer for layer in branch.modules() if isinstance(layer, nn.Conv2d))
    assert (joint.in_channels, channels(branch)) == (64 + 128, [128, 128, 64, 128, 64, 64, 3])
    hidden, image = branch(torch.randn(1, 64, 64, 64), torch.randn(1, 128))
    assert (hidden.shape, image.shape) == ((1, 32, 128, 128), (1, 3, 128, 128))


@pytest.mark.parametrize(
    ("size", "more"), [(64, []), (128, [(1024, 4), (512, 3)]), (256, [(1024, 4), (2048, 4), (1024, 3), (512, 3)])]
)
def test_the_discriminators_of_the_paper(size: int, more: list[tuple[int, int]]) -> None:
    network = ScaleDiscriminator((3, size, size), 64, "batch", 128, unconditional=True)
    found = [(own.out_channels, own.kernel_size[0]) for own in network.image.modules() if isinstance(own, nn.Conv2d)]
    assert found == [(64, 4), (128, 4), (256, 4), (512, 4), *more]
    assert network(torch.randn(3, 3, size, size), torch.randn(3, 128)).shape == (3, 2)
    alone = ScaleDiscriminator((3, size, size), 8, "batch", 128, unconditional=False)
    assert alone(torch.randn(1, 3, size, size), torch.randn(1, 128)).shape == (1, 1)


def test_weights_begin_orthogonal() -> None:
    branch = Branch((3, 16, 16), before=8, width=8, noise=2, dim=4, blocks=1, norm="batch")
    for layer in branch.modules():
        if isinstance(layer, nn.Conv2d):
            rows = layer.weight.detach().flatten(1)
            own = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
            torch.testing.assert_close(own, torch.eye(len(own)), rtol=0, atol=1e-5)


def test_one_logit_sees_the_condition_and_the_other_does_not() -> None:
    network = ScaleDiscriminator((1, 16, 16), 4, "none", 3, unconditional=True)
    image = torch.randn(2, 1, 16, 16)
    first, second = network(image, torch.zeros(2, 3)), network(image, torch.ones(2, 3))
    assert not torch.equal(first[:, 0], second[:, 0])
    assert torch.equal(first[:, 1], second[:, 1])
