"""Differentiable optimizers against torch's own, and their derivatives against finite differences."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lit_gans import unrolling
from lit_gans.optim import AdamRoot

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda p, **more: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.99), **more),
    "adam, fused": lambda p, **more: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.99), fused=True, **more),
    "adam, decay": lambda p, **more: torch.optim.Adam(p, lr=1e-2, betas=(0.9, 0.9), weight_decay=0.3, eps=1e-3, **more),
    "adam_root": lambda p: AdamRoot(p, lr=1e-2, betas=(0.5, 0.99), eps=1e-3),
    "adamw": lambda p, **more: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.3, **more),
    "sgd": lambda p, **more: torch.optim.SGD(p, lr=0.1, **more),
    "momentum": lambda p, **more: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.1, **more),
    "nesterov": lambda p, **more: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, **more),
}


def network(seed: int = 0) -> nn.Sequential:
    """Smooth, so that finite differences know its derivatives; its second layer gets no gradient."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 5).requires_grad_(False), nn.Tanh(), nn.Linear(5, 1)).double()


def loss(module: nn.Module, fake: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
    """A discriminator's."""
    real = torch.linspace(-1, 1, 2 * len(fake), dtype=torch.double).view(-1, 2)
    if weights is None:
        weights = dict(module.named_parameters())
    logits = [functional_call(module, dict(weights), (samples,)) for samples in (real, fake)]
    return nn.functional.softplus(-logits[0]).mean() + nn.functional.softplus(logits[1]).mean()


def trained(optimizer: str, steps: int, fake: Tensor, module: nn.Module | None = None) -> tuple[Any, Any]:
    """A network and torch's optimizer after some ordinary steps."""
    module = module or network()
    made = OPTIMIZERS[optimizer]([p for p in module.parameters() if p.requires_grad])
    for _ in range(steps):
        made.zero_grad()
        loss(module, fake).backward()
        made.step()
    return module, made


def samples(n: int = 8) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.double)


@pytest.mark.parametrize("steps", [0, 1, 3, 10])
@pytest.mark.parametrize("before", [0, 1, 4])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_steps_are_those_of_torch(name: str, before: int, steps: int) -> None:
    fake = samples()
    module, optimizer = trained(name, before, fake)
    optimizer.param_groups[0]["lr"] *= 0.7  # as a schedule does
    state, weights = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(module.state_dict())
    ahead = unrolling.look_ahead(lambda w: loss(module, fake, w), module, optimizer, steps)
    torch.testing.assert_close(optimizer.state_dict(), state, rtol=0, atol=0)
    torch.testing.assert_close(module.state_dict(), weights, rtol=0, atol=0)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(module, fake).backward()
        optimizer.step()
    assert ahead.keys() == {key for key, p in module.named_parameters() if p.requires_grad}
    for key, value in ahead.items():
        torch.testing.assert_close(value.detach(), module.get_parameter(key).detach(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("name", ["adam", "adam, decay", "adamw", "sgd", "momentum", "nesterov"])
def test_the_derivative_is_that_of_finite_differences(name: str, before: int, steps: int) -> None:
    fake = samples(3)
    module, optimizer = trained(name, before, fake)

    def played(places: Tensor, stop_gradient: bool = False) -> Tensor:
        ahead = unrolling.look_ahead(
            lambda w: loss(module, places, w), module, optimizer, steps, stop_gradient=stop_gradient
        )
        return nn.functional.softplus(-functional_call(module, ahead, (places,))).mean()

    places = fake.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(played(places), places)
    numeric = torch.zeros_like(fake)
    for i in range(fake.numel()):
        # Richardson's extrapolation: an error of the fourth order.
        for step, weight in ((1e-3, 4 / 3), (2e-3, -1 / 3)):
            shift = torch.zeros(fake.numel(), dtype=torch.double).index_fill(0, torch.tensor(i), step).view_as(fake)
            slope = (played(fake + shift) - played(fake - shift)).detach() / (2 * step)
            numeric.view(-1)[i] += weight * slope
    assert (gradient - numeric).norm() < 1e-7 * gradient.norm()
    (partial,) = torch.autograd.grad(played(places, stop_gradient=True), places)
    # Adam's very first step has the size of its rate whatever the gradient is: nothing to see through it.
    if before or "adam" not in name:
        assert (gradient - partial).norm() > 1e-2 * gradient.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parts_of_a_vector_start_at_multiples_of_16_bytes(dtype: torch.dtype) -> None:
    """A compiled step fails on a GPU where one does not; what lies between them is zero."""
    like = {name: torch.randn(*shape, dtype=dtype) for name, shape in {"a": (3,), "b": (2, 5), "c": (1,)}.items()}
    vector = unrolling.flatten(like.values())
    parts = unrolling.unflatten(vector, like)
    assert [part.storage_offset() * part.element_size() % 16 for part in parts.values()] == [0, 0, 0]
    assert all(torch.equal(parts[name], like[name]) for name in like)
    assert float(vector.abs().sum()) == pytest.approx(sum(float(t.abs().sum()) for t in like.values()), rel=1e-6)
