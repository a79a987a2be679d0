"""The mean deviation against its closed form and derivative, within groups and alone."""

import math

import pytest
import torch
from torch import Tensor

from lit_gans.layers.coupling import coupling
from lit_gans.layers.minibatch_stddev import MinibatchStddev, mean_deviation


def doubles(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def plain(x: Tensor) -> float:
    deviations = []
    for column in x.T.tolist():
        mean = sum(column) / len(column)
        deviations.append(math.sqrt(sum((value - mean) ** 2 for value in column) / len(column) + 1e-8))
    return sum(deviations) / len(deviations)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_value_and_derivative(n: int) -> None:
    x = doubles(n, 5).requires_grad_()
    assert float(mean_deviation(x).detach()) == pytest.approx(plain(x), rel=1e-12)
    (gradient,) = torch.autograd.grad(mean_deviation(x), x)
    centred = (x - x.mean(0)).detach()
    torch.testing.assert_close(gradient, centred / (5 * n * (centred.square().mean(0) + 1e-8).sqrt()))
    assert torch.autograd.gradgradcheck(mean_deviation, x)


def test_one_number_for_all_and_nothing_where_all_are_equal() -> None:
    layer, x = MinibatchStddev(None), doubles(6, 4)
    assert torch.equal(layer(x), mean_deviation(x).expand(6, 1))
    assert float(layer(x[:1].expand(6, 4)).max()) == pytest.approx(1e-4)


@pytest.mark.parametrize(("n", "sizes"), [(8, [3, 3, 2]), (3, [3]), (1, [1])])
def test_groups(n: int, sizes: list[int]) -> None:
    x = doubles(n, 4)
    expected = [[plain(part)] for part in x.split(sizes) for _ in part]
    torch.testing.assert_close(MinibatchStddev(3)(x), torch.tensor(expected, dtype=torch.double))


def test_half_precision_is_widened() -> None:
    x = doubles(8, 4).bfloat16()
    assert torch.equal(MinibatchStddev(None)(x), MinibatchStddev(None)(x.float()))


def test_it_says_that_it_couples_samples() -> None:
    assert coupling(MinibatchStddev(None)) == ("minibatch standard deviation", "set tricks.minibatch_stddev=null")
