"""Minibatch discrimination against a reference vector, plain loops and finite differences."""

import math

import pytest
import torch
from torch import Tensor

from lit_gans.layers.coupling import coupling
from lit_gans.layers.minibatch_discrimination import MinibatchDiscrimination, closeness, distances


def doubles(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def plain(x: Tensor, tensor: Tensor) -> Tensor:
    """o, number by number."""
    rows = [sum(x[i, a] * tensor[a] for a in range(x.shape[1])) for i in range(len(x))]
    result = torch.zeros(len(x), tensor.shape[1], dtype=x.dtype)
    for i in range(len(x)):
        for j in range(len(x)):
            for b in range(tensor.shape[1]):
                if j != i:
                    result[i, b] += math.exp(-sum(abs(float(rows[i][b, c] - rows[j][b, c])) for c in range(2)))
    return result


def test_the_reference_vector() -> None:
    x = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.double)
    tensor = torch.arange(8, dtype=torch.double).reshape(2, 2, 2) / 4
    expected = [[0.2407345078, 0.1741094911], [0.9141360663, 0.4218400801], [0.8842000076, 0.3252790047]]
    torch.testing.assert_close(
        closeness(distances(x, tensor)), torch.tensor(expected, dtype=torch.double), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("n", [1, 3, 8])
def test_values_and_both_derivatives(n: int) -> None:
    x, tensor = doubles(n, 3).requires_grad_(), doubles(3, 4, 2, seed=1).requires_grad_()

    def features(x: Tensor, tensor: Tensor) -> Tensor:
        return closeness(distances(x, tensor))

    torch.testing.assert_close(features(x, tensor).detach(), plain(x.detach(), tensor.detach()), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(features, (x, tensor))
    assert torch.autograd.gradgradcheck(features, (x, tensor))  # unrolling differentiates twice


def test_a_sample_alone_has_no_neighbours() -> None:
    x = doubles(1, 3).requires_grad_()
    alone = closeness(distances(x, doubles(3, 4, 2)))
    assert torch.equal(alone, torch.zeros(1, 4, dtype=torch.double))
    assert torch.equal(torch.autograd.grad(alone.sum(), x)[0], torch.zeros(1, 3, dtype=torch.double))


def test_equal_samples_are_as_close_as_can_be() -> None:
    same = doubles(1, 3).expand(5, 3)
    assert torch.equal(closeness(distances(same, doubles(3, 4, 2))), torch.full((5, 4), 4.0, dtype=torch.double))


def made(features: int = 6, kernels: int = 4, dims: int = 3) -> MinibatchDiscrimination:
    torch.manual_seed(0)
    return MinibatchDiscrimination(features, kernels, dims).double()


def test_the_tensor_is_weight_normalized() -> None:
    layer, x = made(), doubles(5, 6)
    with torch.no_grad():
        layer.log_scale.copy_(doubles(4, 3, seed=2))
    torch.testing.assert_close(layer.tensor.norm(dim=0), layer.log_scale.exp())
    before = layer(x)
    torch.testing.assert_close(before, closeness(distances(x, layer.tensor)) - 1)  # the bias begins at -1
    with torch.no_grad():
        layer.direction *= 3
    torch.testing.assert_close(layer(x), before)


def test_the_first_weights_are_those_of_the_code() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(100, 20, 5)
    assert float(layer.direction.detach().std()) == pytest.approx(0.05, rel=0.03)
    assert not layer.log_scale.any()
    assert not layer.calibrated


@pytest.mark.parametrize("n", [2, 3, 8])
def test_calibration(n: int) -> None:
    layer, x = made(), doubles(n, 6)
    layer.calibrate(x)
    apart = distances(x, layer.tensor).detach()
    nearest = [[min(float(apart[i, j, b]) for j in range(n) if j != i) for b in range(4)] for i in range(n)]
    assert torch.tensor(nearest).mean(0).tolist() == pytest.approx([2.0] * 4)
    torch.testing.assert_close(layer(x).mean(0), torch.zeros(4, dtype=torch.double))
    assert layer.calibrated
    assert layer.log_scale.requires_grad


def test_calibration_takes_the_mean_over_devices() -> None:
    """What each of two devices finds in its half is averaged, first the distances, then the closeness."""
    halves, layers = doubles(8, 6).split(4), (made(), made())
    found: list[Tensor] = []

    def note(statistic: Tensor) -> Tensor:
        found.append(statistic)
        return statistic

    for layer, half in zip(layers, halves, strict=True):
        layer.calibrate(half, note)
    means = [(found[0] + found[2]) / 2]
    together = [made(), made()]
    for layer, half in zip(together, halves, strict=True):
        answers = iter([means[0], torch.full_like(means[0], 0.25)])
        layer.calibrate(half, lambda _, answers=answers: next(answers))
    torch.testing.assert_close(together[0].log_scale, -(means[0] / 2).log().unsqueeze(-1).expand(4, 3))
    torch.testing.assert_close(together[0].bias.detach(), torch.full((4,), -0.25, dtype=torch.double))
    for a, b in zip(together[0].parameters(), together[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_cannot_be_calibrated_stays() -> None:
    layer = made()
    layer.calibrate(doubles(1, 6))
    assert not layer.calibrated
    assert torch.equal(layer.bias, -torch.ones(4, dtype=torch.double))
    layer.calibrate(doubles(1, 6).expand(3, 6))
    assert not layer.log_scale.any()
    torch.testing.assert_close(layer.bias.detach(), torch.full((4,), -2.0, dtype=torch.double))


def test_in_bf16_the_distances_are_computed_in_full_precision() -> None:
    layer, x = made().float(), doubles(8, 6).float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer(x)
    torch.testing.assert_close(inside, layer(x), rtol=1e-6, atol=1e-6)
    assert layer(x.bfloat16()).dtype == torch.float32


def test_it_says_that_it_couples_samples() -> None:
    assert coupling(made()) == ("minibatch discrimination", "set tricks.minibatch_discrimination=null")
