"""Optimizers that are differentiable, and what a network becomes after a few of their steps.

All weights of a network are one vector ``(P,)`` here: a step is then a handful of operations, however many layers there
are, and one tensor is what several devices exchange. Optimizers are values: a step returns the next vector and the next
optimizer, and both know how they came about.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import pad

OPTIMIZERS = ("adam", "adam_root", "adamw", "sgd")
"""The names of those that can be differentiated."""

Objective = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""Of parameters ``(P,)`` and buffers by name, a scalar to minimise."""


ALIGNED = 4
"""Numbers to whose multiples each tensor's part of a vector is padded: compiled kernels want their inputs at multiples
of 16 bytes, and fail on a GPU where a view is not."""


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """All elements in one vector, zeros between them, in at least float32, without their history."""
    vector = torch.cat([pad(_lying(t.detach()).flatten(), (0, -t.numel() % ALIGNED)) for t in tensors])
    return vector.float() if vector.dtype in (torch.float16, torch.bfloat16) else vector


def unflatten(vector: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The vector's parts under the names and in the shapes of ``like``, as views."""
    parts = torch.split(vector, [tensor.numel() + -tensor.numel() % ALIGNED for tensor in like.values()])
    pairs = zip(like.items(), parts, strict=True)
    return {name: _lying(part[: tensor.numel()].view(_lying(tensor).shape)) for (name, tensor), part in pairs}


def _lying(tensor: Tensor) -> Tensor:
    """A matrix transposed: where a layer has few inputs, autograd's products with it are then several times faster."""
    return tensor.t() if tensor.dim() == 2 else tensor


@dataclass(frozen=True)
class Adam:
    """torch.optim.Adam, and AdamW if ``decoupled_weight_decay`` (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1).

    And :class:`lit_gans.optim.AdamRoot`, with its ``eps_under_root`` in place of ``eps``.

    Attributes:
        mean: of the gradients so far, ``(P,)``.
        square: of the squared gradients so far, ``(P,)``.
        steps: taken so far.
    """

    mean: Tensor
    square: Tensor
    steps: int
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    decoupled_weight_decay: bool
    eps_under_root: float

    @classmethod
    def read(cls, group: Mapping[str, Any], states: Sequence[Mapping[str, Any]], zeros: Tensor) -> Self:
        """As torch's optimizer stands: its options and the states of its parameters, empty before the first step."""
        started = bool(states[0])
        names = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay")
        return cls(
            mean=flatten(state["exp_avg"] for state in states) if started else zeros,
            square=flatten(state["exp_avg_sq"] for state in states) if started else zeros,
            steps=int(states[0]["step"]) if started else 0,
            **{name: group[name] for name in names},
            eps_under_root=group.get("eps_under_root", 0.0),
        )

    def step(self, parameters: Tensor, gradient: Tensor) -> tuple[Tensor, Self]:
        """The next parameters ``(P,)`` and the next optimizer."""
        if self.decoupled_weight_decay:
            parameters = parameters * (1 - self.lr * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient + self.weight_decay * parameters
        first, second = self.betas
        mean = torch.lerp(self.mean, gradient, 1 - first)
        before = second * self.square + (1 - second) * self.eps_under_root
        square = torch.addcmul(before, gradient, gradient, value=1 - second)
        # Where no gradient ever came the root's slope is infinite; below the bound it is 0. eps hides the difference.
        root = square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()
        steps = self.steps + 1
        correction = math.sqrt(1 - second**steps)
        rate = self.lr * correction / (1 - first**steps)
        parameters = torch.addcdiv(parameters, mean, root + self.eps * correction, value=-rate)
        return parameters, replace(self, mean=mean, square=square, steps=steps)


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD.

    Attributes:
        velocity: the momentum buffer ``(P,)``; None before the first step.
    """

    velocity: Tensor | None
    lr: float
    momentum: float
    dampening: float
    nesterov: bool
    weight_decay: float

    @classmethod
    def read(cls, group: Mapping[str, Any], states: Sequence[Mapping[str, Any]], zeros: Tensor) -> Self:
        """As torch's optimizer stands: its options and the states of its parameters, empty before the first step."""
        started = states[0].get("momentum_buffer") is not None
        names = ("lr", "momentum", "dampening", "nesterov", "weight_decay")
        velocity = flatten(state["momentum_buffer"] for state in states) if started else None
        return cls(velocity=velocity, **{name: group[name] for name in names})

    def step(self, parameters: Tensor, gradient: Tensor) -> tuple[Tensor, Self]:
        """The next parameters ``(P,)`` and the next optimizer."""
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameters
        if not self.momentum:
            return parameters - self.lr * gradient, self
        before = self.velocity
        velocity = gradient if before is None else self.momentum * before + (1 - self.dampening) * gradient
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameters - self.lr * direction, replace(self, velocity=velocity)


def continued(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> Adam | SGD:
    """The differentiable optimizer that goes on where torch's stands.

    Args:
        optimizer: Adam, AdamW or SGD, with one group of parameters.
        parameters: of the optimizer, in the order of the vector.
    """
    (group,) = optimizer.param_groups
    states = [optimizer.state.get(parameter, {}) for parameter in parameters]
    kind = SGD if isinstance(optimizer, torch.optim.SGD) else Adam
    return kind.read(group, states, torch.zeros_like(flatten(parameters)))


def unroll(
    objective: Objective,
    parameters: Tensor,
    buffers: Mapping[str, Tensor],
    optimizer: Adam | SGD,
    steps: int,
    *,
    stop_gradient: bool = False,
    exchange: bool = False,
    compiled: bool = False,
) -> Tensor:
    """The parameters after some steps on one objective (Metz et al. 2017, arXiv 1611.02163, eq. 7 to 9).

    Args:
        objective: a scalar to minimise, of parameters ``(P,)`` and of buffers, which it may change in place.
        parameters: ``(P,)``, where the steps start.
        buffers: by name.
        optimizer: that makes them.
        steps: how many.
        stop_gradient: return a constant; otherwise what is returned is differentiable with respect to everything that
            the objective is made of, second-order terms included.
        exchange: average each gradient over the devices.
        compiled: compile the gradient.
    """
    gradient_of = compiled_gradient(objective) if compiled else partial(eager_gradient, objective)
    with torch.set_grad_enabled(not stop_gradient):
        parameters = parameters.detach().requires_grad_(not stop_gradient)
        for _ in range(steps):
            gradient = gradient_of(parameters, buffers)
            parameters, optimizer = optimizer.step(parameters, averaged(gradient) if exchange else gradient)
    return parameters


def eager_gradient(objective: Objective, parameters: Tensor, buffers: Mapping[str, Tensor]) -> Tensor:
    """The objective's gradient ``(P,)``; with a history where gradients are enabled."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        parameters = parameters if differentiable else parameters.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(parameters, buffers), parameters, create_graph=differentiable)
    return gradient


def compiled_gradient(objective: Objective) -> Callable[[Tensor, Mapping[str, Tensor]], Tensor]:
    """The same by ``torch.func.grad``, compiled: a graph that already differentiates is differentiated once more.

    What is random is drawn as without compilation.
    """
    compiled = torch.compile(torch.func.grad(objective), options={"fallback_random": True})

    def gradient_of(parameters: Tensor, buffers: Mapping[str, Tensor]) -> Tensor:
        with torch.compiler.set_stance("default"):
            gradient: Tensor = compiled(parameters, buffers)
        return gradient

    return gradient_of


def look_ahead(
    objective: Callable[[Mapping[str, Tensor]], Tensor],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: int,
    **options: Any,
) -> dict[str, Tensor]:
    """The parameters and buffers of a network after some more steps of its optimizer; both stay as they are.

    Args:
        objective: a scalar to minimise, of parameters and buffers by name. It may change the buffers in place.
        network: whose weights they are.
        optimizer: as of :func:`continued`. What it does not move stays.
        steps: how many.
        options: of :func:`unroll`.
    """
    moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    start = {name: parameter for name, parameter in network.named_parameters() if id(parameter) in moved}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def of_vector(vector: Tensor, buffers: Mapping[str, Tensor]) -> Tensor:
        return objective({**buffers, **unflatten(vector, start)})

    own = list(start.values())
    vector = unroll(of_vector, flatten(own), buffers, continued(optimizer, own), steps, **options)
    return {**buffers, **unflatten(vector, start)}


def averaged(gradient: Tensor) -> Tensor:
    """The mean over the devices, if there are several; its derivative is exchanged, too."""
    if not torch.distributed.is_initialized():
        return gradient
    mean: Tensor = all_reduce(gradient) / torch.distributed.get_world_size()  # type: ignore[no-untyped-call]
    return mean


@contextmanager
def twice_differentiable(device: torch.device) -> Iterator[None]:
    """Within it everything is computed in full precision, and eagerly: torch.compile cannot differentiate twice."""
    with torch.autocast(device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        yield


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of half precision in float32, with their history."""
    half = (torch.float16, torch.bfloat16)
    return {name: tensor.float() if tensor.dtype in half else tensor for name, tensor in tensors.items()}


def check(steps: int, options: Mapping[str, Any]) -> None:
    """Refuses an optimizer whose steps cannot be differentiated.

    Args:
        steps: how many, at least 0.
        options: of the discriminator's optimizer.

    Raises:
        ValueError: if there is nothing here that makes so many of its steps.
    """
    if steps < 0:
        raise ValueError(f"unrolled_steps must be at least 0, got {steps}.")
    reason = None
    if options.get("name") not in OPTIMIZERS:
        reason = f"{options.get('name')!r} has none here: set model.discriminator_optimizer.name to adam, adamw or sgd"
    elif found := [name for name in ("amsgrad", "maximize") if options.get(name)]:
        reason = f"{found[0]} has none here: set model.discriminator_optimizer without it"
    if reason is not None:
        raise ValueError(f"unrolled needs the derivative of the discriminator's steps; {reason}, or leave it out.")
