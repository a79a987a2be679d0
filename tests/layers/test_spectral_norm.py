"""Spectral norm: the largest singular value, by which matrix, with which gradient, and who moves its vectors."""

import pytest
import torch
from torch import nn

from lit_gans.layers.spectral_norm import normalize_spectrally


def settled(layer: nn.Module, passes: int = 100) -> nn.Module:
    """After as many forward passes in training mode that its vectors have converged."""
    network = nn.Sequential(layer).double()
    normalize_spectrally(network)
    for _ in range(passes):
        _ = layer.weight
    return layer.eval()


def test_the_vector_of_the_papers_matrix() -> None:
    layer = nn.Linear(2, 2, bias=False)
    matrix = torch.tensor([[3.0, 0.0], [4.0, 5.0]], dtype=torch.double)
    with torch.no_grad():
        layer.weight.copy_(matrix)
    found = settled(layer).weight
    torch.testing.assert_close(found, matrix / 6.7082039325, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("layer", "rows"),
    [
        (nn.Linear(5, 3), 0),
        (nn.Conv2d(3, 6, 4), 0),
        (nn.ConvTranspose2d(5, 4, 3), 1),
        (nn.Conv2d(4, 6, 3, groups=2), 0),
    ],
)
def test_the_largest_singular_value_is_one(layer: nn.Module, rows: int) -> None:
    torch.manual_seed(0)
    before = layer.weight.detach().double()
    after = settled(layer, 300).weight.detach()
    matrices = [weight.transpose(0, rows).flatten(1) for weight in (before, after)]
    values = [torch.linalg.svdvals(matrix) for matrix in matrices]
    assert float(values[1][0]) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(values[1], values[0] / values[0][0], rtol=1e-3, atol=1e-4)


def test_the_gradient_flows_through_the_weight_and_not_through_the_vectors() -> None:
    """For c . W/s: (C - (C . W/s) u v') / s, with u and v the converged singular vectors (arXiv 1802.05957, eq. 12)."""
    torch.manual_seed(0)
    layer = settled(nn.Linear(4, 3, bias=False), 500)
    direction = torch.randn(3, 4, dtype=torch.double)
    original = layer.parametrizations.weight.original
    (gradient,) = torch.autograd.grad((direction * layer.weight).sum(), original)
    left, values, right = torch.linalg.svd(original.detach())
    outer = torch.outer(left[:, 0], right[0])
    scaled = (direction * original.detach() / values[0]).sum()
    torch.testing.assert_close(gradient, (direction - scaled * outer) / values[0], rtol=1e-6, atol=1e-8)


def test_only_training_moves_the_vectors_and_some_steps_more_on_demand() -> None:
    def moved(training: bool, iterations: int) -> torch.Tensor:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(6, 5)).double()
        normalize_spectrally(network, iterations)
        network.train(training)(torch.zeros(1, 6, dtype=torch.double))
        return network[0].parametrizations.weight[0]._u.clone()

    still, once, thrice = moved(False, 1), moved(True, 1), moved(True, 3)
    assert torch.equal(still, moved(False, 1))
    assert not torch.allclose(still, once, atol=1e-6) or not torch.allclose(once, thrice, atol=1e-9)


def test_every_layer_has_it_and_a_weight_of_zeros_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    normalize_spectrally(network)
    assert [name for name, _ in network.named_buffers()] == [
        f"{index}.parametrizations.weight.0.{vector}" for index in (0, 3) for vector in ("_u", "_v")
    ]
    with torch.no_grad():
        zero = nn.Sequential(nn.Linear(2, 2))
        zero[0].weight.zero_()
    with pytest.raises(ValueError, match=r"that of '0' is 0 at the start: use model=sngan, or leave it out"):
        normalize_spectrally(zero)
