"""Penalties on a discriminator's input gradient: pure functions of a callable critic and samples.

``critic`` maps samples ``(N, ...)`` to one logit each, ``(N,)``. Samples may have any trailing shape. Every norm and
every mixing weight belongs to one sample. Results are scalars, differentiable with respect to the critic's parameters,
computed in at least float32 even inside autocast, and without the weight in front (the papers' lambda or gamma).
Two are no penalties on a gradient: ``consistency`` is on logits, ``historical`` on a player's weights.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def _constant(samples: Tensor) -> Tensor:
    """The samples without their history, in at least float32."""
    samples = samples.detach()
    return samples.float() if samples.dtype in (torch.float16, torch.bfloat16) else samples


def _squared_gradient_norm(critic: Critic, samples: Tensor) -> Tensor:
    """||grad D(x_i)||^2 for every sample, ``(N,)``, with a graph to differentiate once more.

    Compiled networks run eagerly here: torch.compile refuses to differentiate twice, unless what is compiled
    differentiates by torch.func, as it must where all of this is compiled.
    """
    samples = _constant(samples)
    if torch.compiler.is_compiling():
        compiled: Tensor = torch.func.grad(lambda x: critic(x).sum())(samples)
        return compiled.flatten(1).square().sum(1)
    with (
        torch.enable_grad(),
        torch.autocast(samples.device.type, enabled=False),
        torch.compiler.set_stance("force_eager"),
    ):
        samples = samples.requires_grad_()
        (gradient,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True, materialize_grads=True)
        return gradient.flatten(1).square().sum(1)


def _norm(squared: Tensor) -> Tensor:
    """The square root, with gradient 0 instead of infinity where the critic is flat."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


def _mix(first: Tensor, second: Tensor) -> Tensor:
    """A x + (1 - a) y with one a ~ U(0, 1) a sample."""
    weight = torch.rand(len(first), *[1] * (first.dim() - 1), dtype=first.dtype, device=first.device)
    return weight * first + (1 - weight) * second


def _distance_to_one(norm: Tensor, one_sided: bool) -> Tensor:
    return ((norm - 1).clamp_min(0) if one_sided else norm - 1).square().mean()


def r1(critic: Critic, real: Tensor) -> Tensor:
    """E||grad D(x)||^2 on real samples (Mescheder et al. 2018, arXiv 1801.04406, eq. 9, without its gamma/2).

    Args:
        critic: maps ``(N, ...)`` to ``(N,)``.
        real: ``(N, ...)``.
    """
    return _squared_gradient_norm(critic, real).mean()


def r2(critic: Critic, fake: Tensor) -> Tensor:
    """E||grad D(G(z))||^2 on generated samples (arXiv 1801.04406, eq. 10, without its gamma/2).

    Args:
        critic: maps ``(N, ...)`` to ``(N,)``.
        fake: ``(N, ...)``.
    """
    return _squared_gradient_norm(critic, fake).mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, *, one_sided: bool = False) -> Tensor:
    """E(||grad D(x)||_2 - 1)^2 between real and fake (WGAN-GP: Gulrajani et al. 2017, arXiv 1704.00028, eq. 3).

    x = a x_real + (1 - a) x_fake with a ~ U(0, 1) for every sample.

    Args:
        critic: maps ``(N, ...)`` to ``(N,)``.
        real: ``(N, ...)``.
        fake: ``(N, ...)``, of the same shape.
        one_sided: penalise only norms above 1 (arXiv 1704.00028, section 4).
    """
    samples = _mix(_constant(real), _constant(fake))
    return _distance_to_one(_norm(_squared_gradient_norm(critic, samples)), one_sided)


def dragan(critic: Critic, real: Tensor) -> Tensor:
    """E(||grad D(x)||_2 - 1)^2 around real samples (DRAGAN: Kodali et al. 2017, arXiv 1705.07215).

    x = a x_real + (1 - a)(x_real + 0.5 s u), s the standard deviation over the whole batch, u ~ U(0, 1) for every
    element, a ~ U(0, 1) for every sample.

    Args:
        critic: maps ``(N, ...)`` to ``(N,)``.
        real: ``(N, ...)``.
    """
    real = _constant(real)
    perturbed = real + 0.5 * real.std(correction=0) * torch.rand_like(real)
    return _distance_to_one(_norm(_squared_gradient_norm(critic, _mix(real, perturbed))), one_sided=False)


def consistency(critic: Critic, samples: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
    """E(D(T(x)) - D(x))^2 (CR: Zhang et al. 2020, arXiv 1910.12027; bCR, on fakes too: arXiv 2002.04724).

    Neither of the two logits is a constant.

    Args:
        critic: maps ``(N, ...)`` to ``(N,)``.
        samples: ``(N, ...)``.
        augment: T, from samples to samples.
    """
    samples = samples.detach()
    return (critic(augment(samples)) - critic(samples)).square().mean()


def historical(weights: Mapping[str, Tensor], means: Mapping[str, Tensor]) -> Tensor:
    """||theta - mean||^2, theta all weights in one vector (Salimans et al. 2016, arXiv 1606.03498, section 3.3).

    The means are constants. Without any the penalty is 0.

    Args:
        weights: of any shapes, by name.
        means: of the weights of some of these names, over the past.
    """
    squares = ((weights[name] - mean.detach()).square().sum() for name, mean in means.items())
    return sum(squares, torch.zeros(()))
