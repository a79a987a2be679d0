"""Virtual batch norm against the formula, sample by sample."""

import pytest
import torch
from torch import nn

from lit_gans.layers.virtual_batch_norm import VirtualBatchNorm, WithReference


def layer(channels, size, *, affine=False):
    made = VirtualBatchNorm(channels, affine=affine).double()
    made.reference_size = size
    return made


def formula(reference, x):
    """The paper's code: m = m_i / (B + 1) + m_ref B / (B + 1), q likewise, (x - m) / sqrt(1e-5 + q - m^2)."""
    size, space = len(reference), tuple(range(1, x.dim() - 1))
    mean_ref, square_ref = (
        reference.mean((0, *[s + 1 for s in space])),
        reference.pow(2).mean((0, *[s + 1 for s in space])),
    )

    def normalized(sample, mean, square):
        view = (-1, *[1] * len(space))
        return (sample - mean.view(view)) / (1e-5 + square - mean**2).sqrt().view(view)

    outputs = [normalized(sample, mean_ref, square_ref) for sample in reference]
    for sample in x:
        own, own_square = (sample.mean(space), sample.pow(2).mean(space)) if space else (sample, sample**2)
        mean = own / (size + 1) + mean_ref * size / (size + 1)
        square = own_square / (size + 1) + square_ref * size / (size + 1)
        outputs.append(normalized(sample, mean, square))
    return torch.stack(outputs)


@pytest.mark.parametrize("shape", [(), (1, 1)])
def test_the_vector_of_the_recipes(shape):
    """Reference {0, 2, 4}, new example 10: mean 4, variance 14, out 1.6035669; the reference by its own 2 and 8/3."""
    x = torch.tensor([0.0, 2.0, 4.0, 10.0]).double().view(4, 1, *shape)
    *reference, new = layer(1, 3)(x).flatten().tolist()
    assert new == pytest.approx(1.6035669, abs=1e-7)
    assert new == pytest.approx(6 / (14 + 1e-5) ** 0.5, rel=1e-12)
    scale = (8 / 3 + 1e-5) ** 0.5
    assert reference == pytest.approx([-2 / scale, 0, 2 / scale], rel=1e-12)


@pytest.mark.parametrize("shape", [(), (1, 1), (4, 3)])
@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_value_and_gradient_equal_the_formula(shape, size, n):
    torch.manual_seed(0)
    x = (2 + 3 * torch.randn(size + n, 5, *shape).double()).requires_grad_()
    weights = torch.randn_like(x)
    ours, theirs = layer(5, size)(x), formula(x[:size], x[size:])
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)
    gradients = [torch.autograd.grad((weights * out)[size:].sum(), x)[0] for out in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-8)
    if size * ours[0, 0].numel() > 1:  # of two points in all the outputs are 1 and -1, whatever they are
        assert gradients[0][:size].abs().max() > 1e-3  # through the reference batch as well


def test_samples_do_not_feel_each_other():
    torch.manual_seed(0)
    x = torch.randn(7, 5, 4, 4).double().requires_grad_()
    weights = torch.randn(5, 4, 4).double()
    (gradient,) = torch.autograd.grad((weights * layer(5, 3)(x)[4]).sum(), x)
    felt = gradient.flatten(1).abs().amax(1)
    assert (felt[:3] > 1e-6).all()
    assert felt[4] > 1e-2
    assert felt[[3, 5, 6]].tolist() == [0.0] * 3
    (gradient,) = torch.autograd.grad((weights * layer(5, 3)(x)[1]).sum(), x)
    assert gradient[3:].abs().max() == 0  # nor does the reference feel them


def test_the_same_in_training_and_in_use():
    made, x = layer(5, 3, affine=True), torch.randn(6, 5, 2, 2).double()
    assert torch.equal(made.train()(x), made.eval()(x))
    assert list(made.buffers()) == []


def test_gain_and_bias_of_each_channel():
    torch.manual_seed(0)
    made = layer(20_000, 1, affine=True)
    assert made.weight.mean().item() == pytest.approx(1, abs=5 * 0.02 / 20_000**0.5)
    assert made.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert not made.bias.any()
    made, plain, x = layer(3, 2, affine=True), layer(3, 2), torch.randn(4, 3, 2, 5).double()
    with torch.no_grad():
        made.bias.normal_()
    for c in range(3):
        torch.testing.assert_close(made(x)[:, c], made.weight[c] * plain(x)[:, c] + made.bias[c])


def test_far_from_zero():
    """In float32 q - m^2 would be off by more than the variance itself."""
    torch.manual_seed(0)
    x = 3000 + torch.randn(11, 2, 4, 4)
    made = VirtualBatchNorm(2, affine=False)
    made.reference_size = 3
    torch.testing.assert_close(made(x).double(), formula(x[:3].double(), x[3:].double()), rtol=1e-2, atol=1e-2)
    assert made(torch.full((5, 2, 4, 4), 1234.5)).abs().max() < 1e-3


def test_half_precision_is_computed_in_single():
    torch.manual_seed(0)
    x = (100 + torch.randn(11, 2, 4, 4)).bfloat16()
    made = VirtualBatchNorm(2, affine=False)
    made.reference_size = 3
    assert made(x).dtype == torch.bfloat16
    assert torch.equal(made(x), made(x.float()).bfloat16())


def test_without_a_reference_it_says_where_one_comes_from():
    with pytest.raises(ValueError, match=r"needs a reference batch.*tricks=\[virtual_batch_norm\]"):
        VirtualBatchNorm(3)(torch.randn(2, 3))


class Network(nn.Module):
    """A linear layer, the normalization, and what it was given."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 5), VirtualBatchNorm(5)

    def forward(self, latent, condition=None):
        self.given = latent, condition
        return self.norm(self.linear(latent))


def test_the_reference_goes_ahead_and_is_left_out_of_what_comes_back():
    torch.manual_seed(0)
    network = Network()
    latent, reference, label = torch.randn(3, 4), torch.randn(6, 4), torch.tensor([0, 1, 0, 1, 0, 1])
    made = WithReference(network, reference, label)
    out = made(latent, torch.tensor([7, 8, 9]))
    assert network.norm.reference_size == 6
    assert torch.equal(network.given[0], torch.cat([reference, latent]))
    assert network.given[1].tolist() == [0, 1, 0, 1, 0, 1, 7, 8, 9]
    assert torch.equal(out, network(torch.cat([reference, latent]))[6:])
    alone = [made(latent[i : i + 1], torch.tensor([i])) for i in range(3)]
    torch.testing.assert_close(out, torch.cat(alone), rtol=1e-5, atol=1e-6)
    assert {"latent", "condition"} == {name for name, _ in made.named_buffers()} <= made.state_dict().keys()


def test_a_reference_without_condition():
    network = Network()
    made = WithReference(network, torch.randn(6, 4))
    assert made(torch.randn(3, 4)).shape == (3, 5)
    assert network.given[1] is None
    assert [name for name, _ in made.named_buffers()] == ["latent"]
