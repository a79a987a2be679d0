"""Virtual batch norm: the paper's mixture of statistics, value and gradient, and that no sample feels another."""

import pytest
import torch
from torch import Tensor, nn

from lit_gans.layers.virtual_batch_norm import VirtualBatchNorm, WithReference


def layer(channels: int, size: int, *, affine: bool = False) -> VirtualBatchNorm:
    found = VirtualBatchNorm(channels, affine=affine).double()
    found.reference_size = size
    return found


def by_hand(x: Tensor, size: int) -> Tensor:
    """The formula sample by sample: m = m_i/(B+1) + m_ref B/(B+1), q likewise, (x - m)/sqrt(1e-5 + q - m^2)."""
    rows = []
    reference = x[:size].transpose(0, 1).reshape(x.shape[1], -1)
    m_ref, q_ref = reference.mean(1), reference.pow(2).mean(1)
    for i, sample in enumerate(x):
        own = sample.reshape(len(sample), -1)
        m_own, q_own = own.mean(1), own.pow(2).mean(1)
        weight = 0.0 if i < size else 1 / (size + 1)
        m, q = weight * m_own + (1 - weight) * m_ref, weight * q_own + (1 - weight) * q_ref
        shape = (-1, *[1] * (sample.dim() - 1))
        rows.append((sample - m.view(shape)) / (1e-5 + q - m**2).sqrt().view(shape))
    return torch.stack(rows)


def test_the_vector() -> None:
    x = torch.tensor([[0.0], [2.0], [4.0], [10.0]], dtype=torch.double)
    found = layer(1, 3)(x)
    assert float(found[3].detach()) == pytest.approx(1.6035669, abs=1e-6)  # mean 4, variance 14
    torch.testing.assert_close(found[:3, 0], torch.tensor([-2.0, 0.0, 2.0]).double() / (8 / 3 + 1e-5) ** 0.5)


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("space", [(), (4, 4), (1, 3)])
def test_value_and_gradient(n: int, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(5 + n, 3, *space, dtype=torch.double, requires_grad=True)
    ours, theirs, weights = layer(3, 5)(x), by_hand(x, 5), torch.randn(5 + n, 3, *space, dtype=torch.double)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    gradients = [torch.autograd.grad((weights * out).sum(), x, retain_graph=True)[0] for out in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-9)


def test_a_sample_feels_the_reference_and_itself_alone() -> None:
    torch.manual_seed(0)
    x = torch.randn(4 + 3, 2, 2, 2, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(2, 4)(x)[5].pow(3).sum(), x)
    felt = [bool(part.abs().max() > 1e-9) for part in gradient]
    assert felt == [True] * 4 + [False, True, False]


def test_gain_and_bias() -> None:
    torch.manual_seed(0)
    affine = VirtualBatchNorm(20_000)
    assert float(affine.weight.detach().mean()) == pytest.approx(1, abs=1e-3)
    assert float(affine.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not affine.bias.any()
    small, x = layer(2, 2, affine=True), torch.randn(3, 2, dtype=torch.double)
    with torch.no_grad():
        small.bias += torch.tensor([3.0, -1.0])
    torch.testing.assert_close(small(x), small.weight * by_hand(x, 2) + small.bias, rtol=1e-9, atol=1e-9)


def test_half_precision_is_normalized_in_full() -> None:
    x = 1000 + torch.randn(6, 2, 8, 8)
    norm = VirtualBatchNorm(2, affine=False)
    norm.reference_size = 3
    found = norm(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), norm(x.bfloat16().float()), rtol=1e-2, atol=1e-2)


def test_the_reference_goes_ahead_of_every_batch() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), VirtualBatchNorm(3), nn.Linear(3, 1)).double()

    class Takes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            assert condition is None or condition.tolist()[:2] == [7, 8]
            return self.network(latent)

    with pytest.raises(ValueError, match="needs a reference batch"):
        network(torch.zeros(1, 2, dtype=torch.double))
    wrapped = WithReference(Takes(), torch.randn(2, 2, dtype=torch.double), torch.tensor([7, 8]))
    x = torch.randn(5, 2, dtype=torch.double)
    whole = wrapped(x, torch.arange(5))
    assert whole.shape == (5, 1)
    torch.testing.assert_close(whole[3:4], wrapped(x[3:4], torch.tensor([3])), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(whole, wrapped.eval()(x, torch.arange(5)), rtol=0, atol=0)
    assert {"latent", "condition"} <= wrapped.state_dict().keys()
