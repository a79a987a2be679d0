"""A weight over its largest singular value: vectors, directions, gradients, and what moves u and v."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations

from lit_gans.layers.spectral_norm import FullPrecision, normalize_spectrally


def normalized(layer, iterations=1, passes=100):
    """The layer after so many forward passes in training mode, in eval mode."""
    layer = layer.double()
    normalize_spectrally(layer, iterations)
    for _ in range(passes):
        _ = layer.weight
    return layer.eval()


def matrix(layer, rows=0):
    return layer.weight.detach().movedim(rows, 0).flatten(1)


def power(layer):
    (found,) = (module for module in layer.modules() if isinstance(module, FullPrecision))
    return found


def test_the_vector_of_the_recipes():
    layer = nn.Linear(2, 2, bias=False)
    weight = torch.tensor([[3.0, 0.0], [4.0, 5.0]]).double()
    layer.weight.data = weight
    normalized(layer)
    torch.testing.assert_close(layer.weight.detach(), weight / 6.7082039325, rtol=1e-10, atol=0)


LAYERS = {
    "linear": (lambda: nn.Linear(7, 5), 0),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), 0),
    "narrow": (lambda: nn.Linear(7, 1), 0),
    "convolution": (lambda: nn.Conv2d(3, 5, 4), 0),
    "convolution of lines": (lambda: nn.Conv1d(3, 5, 4), 0),
    "transposed": (lambda: nn.ConvTranspose2d(3, 5, 4), 1),
    "transposed volume": (lambda: nn.ConvTranspose3d(3, 5, 2), 1),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_largest_singular_value_is_one(kind):
    torch.manual_seed(0)
    make, rows = LAYERS[kind]
    layer = make().double()
    before = torch.linalg.svdvals(matrix(layer, rows))
    layer = normalized(layer, passes=300)
    after = torch.linalg.svdvals(matrix(layer, rows))
    assert after[0].item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(after, before / before[0], rtol=1e-3, atol=1e-4)
    if kind.startswith(("conv", "trans")):
        assert torch.linalg.svdvals(matrix(layer, 1 - rows))[0].item() != pytest.approx(1, abs=1e-2)


def test_the_power_method_by_hand():
    """Each access in training mode makes the given number of steps: u <- Wv, v <- W'u, both of length 1."""
    torch.manual_seed(0)
    for iterations in (1, 3):
        layer = nn.Linear(6, 4, bias=False).double()
        weight = layer.weight.detach().clone()
        normalize_spectrally(layer, iterations)
        v = power(layer)._v.clone()
        for _ in range(2):
            for _ in range(iterations):
                u = weight @ v / (weight @ v).norm()
                v = weight.T @ u / (weight.T @ u).norm()
            torch.testing.assert_close(layer.weight.detach(), weight / (u @ weight @ v), rtol=1e-12, atol=0)
        torch.testing.assert_close(power(layer)._u, u)
        torch.testing.assert_close(power(layer)._v, v)


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(5, 3), lambda: nn.Conv2d(2, 3, 3), lambda: nn.ConvTranspose2d(2, 3, 3)]
)
def test_equals_torch_s_own(make):
    torch.manual_seed(0)
    ours, theirs = make(), make()
    theirs.load_state_dict(ours.state_dict())
    torch.manual_seed(1)
    normalize_spectrally(ours, 2)
    torch.manual_seed(1)
    parametrizations.spectral_norm(theirs, n_power_iterations=2)
    assert torch.equal(ours.weight, theirs.weight)
    assert [name for name, _ in ours.named_buffers()] == [name for name, _ in theirs.named_buffers()]


def test_the_gradient_flows_through_the_weight_alone():
    """d<G, W/s>/dW = G/s - <G, W>/s^2 u v', with u and v constants, far from the singular vectors too."""
    torch.manual_seed(0)
    layer = nn.Linear(5, 3, bias=False).double()
    normalize_spectrally(layer)
    weight = layer.parametrizations.weight.original
    with torch.no_grad():
        weight.copy_(torch.randn_like(weight))
    layer.eval()
    u, v, upstream = power(layer)._u, power(layer)._v, torch.randn(3, 5).double()
    (upstream * layer.weight).sum().backward()
    sigma = u @ weight @ v
    expected = upstream / sigma - (upstream * weight).sum() / sigma**2 * torch.outer(u, v)
    torch.testing.assert_close(weight.grad, expected.detach(), rtol=1e-10, atol=1e-12)
    assert (weight.grad - upstream / sigma).abs().max() > 0.1
    assert not u.requires_grad
    assert not v.requires_grad


def test_two_passes_before_one_backward():
    """As real and fake samples go: each keeps the u and v of its own pass."""
    torch.manual_seed(0)
    layer = nn.Linear(5, 1).double()
    normalize_spectrally(layer)
    x = torch.randn(2, 4, 5).double()
    (layer(x[0]).square().sum() - layer(x[1]).square().sum()).backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0


def test_only_training_moves_u_and_v():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    normalize_spectrally(layer)
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    layer.eval()(torch.randn(2, 6))
    assert all(torch.equal(before[name], buffer) for name, buffer in layer.named_buffers())
    with torch.no_grad():
        layer.train()(torch.randn(2, 6))
    assert not any(torch.equal(before[name], buffer) for name, buffer in layer.named_buffers())


def test_stand_ins_move_their_own_u_and_v():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    normalize_spectrally(layer)
    own = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    others = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    weights = {name: (2 * parameter).detach().requires_grad_() for name, parameter in layer.named_parameters()}
    functional_call(layer, {**weights, **others}, torch.randn(3, 6)).sum().backward()
    assert all(torch.equal(own[name], buffer) for name, buffer in layer.named_buffers())
    assert not any(torch.equal(own[name], others[name]) for name in own)
    assert all(weight.grad is not None for weight in weights.values())


def test_outside_autocast(monkeypatch):
    torch.manual_seed(0)
    layer, seen = nn.Linear(64, 64, bias=False), []
    normalize_spectrally(layer)
    inner = power(layer)._power_method

    def spy(*arguments):
        seen.append(torch.is_autocast_enabled("cpu"))
        inner(*arguments)

    monkeypatch.setattr(power(layer), "_power_method", spy)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(2, 64)).dtype == torch.bfloat16
        assert layer.weight.dtype == torch.float32
    assert seen == [False, False]


def test_everything_that_multiplies_and_nothing_else():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3), nn.Embedding(3, 2))
    normalize_spectrally(network)
    names = [name for name, _ in network.named_parameters()]
    assert [name for name in names if name.endswith("original")] == [
        "0.parametrizations.weight.original",
        "3.parametrizations.weight.original",
    ]
    assert {"1.weight", "4.weight", "0.bias", "3.bias"} <= set(names)


def test_a_weight_of_zero_is_refused():
    layer = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    nn.init.zeros_(layer[1].weight)
    with pytest.raises(ValueError, match=r"that of '1' is 0 at the start: .*tricks\.spectral_norm=null"):
        normalize_spectrally(layer)
