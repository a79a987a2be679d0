"""A gain and a bias for each class."""

import pytest
import torch
from torch import nn

from lit_gans.layers.class_norm import ClassNorm


@pytest.mark.parametrize("shape", [(), (4, 5)])
def test_gain_and_bias_are_the_class_s_own(shape):
    torch.manual_seed(0)
    layer = ClassNorm(nn.Identity(), 3, 4).double()
    x, label = torch.randn(3, 3, *shape).double(), torch.tensor([2, 0, 2])
    assert torch.equal(layer(x, label), x)
    with torch.no_grad():
        layer.gain.normal_()
        layer.bias.normal_()
    for sample, own in enumerate(label):
        for channel in range(3):
            expected = x[sample, channel] * layer.gain[own, channel] + layer.bias[own, channel]
            torch.testing.assert_close(layer(x, label)[sample, channel], expected)
    layer(x, label).sum().backward()
    assert [row.abs().sum().item() > 0 for row in layer.gain.grad] == [True, False, True, False]


def test_normalizes_first():
    layer, x = ClassNorm(nn.BatchNorm1d(3, affine=False), 3, 2), 5 + 7 * torch.randn(64, 3)
    torch.testing.assert_close(layer(x, torch.zeros(64).long()).std(0, correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_without_classes_it_is_the_normalization():
    layer, x = ClassNorm(nn.GroupNorm(1, 3), 3), torch.randn(2, 3, 4, 4)
    assert torch.equal(layer(x), layer.norm(x))
    assert len(list(layer.parameters())) == 2


def test_classes_need_a_label():
    with pytest.raises(ValueError, match=r"This network is conditional: give each sample a label in \[0, 2\)"):
        ClassNorm(nn.Identity(), 3, 2)(torch.randn(1, 3))
