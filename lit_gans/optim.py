"""Optimizers and learning-rate schedules from plain dictionaries, counted in generator updates."""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from typing_extensions import override


class AdamRoot(torch.optim.Adam):
    """Adam with eps under the root: theta <- theta - lr m / sqrt(v + eps), m and v corrected for their bias.

    So it is in the code of Improved Techniques for Training GANs (arXiv 1606.03498). Beside the root stands sqrt(eps):
    1e-8 here is about 1e-4 there.

    Args:
        params: what it moves.
        lr: learning rate.
        betas: of the averages of the gradients and of their squares, above 0 the second.
        eps: in the units of a squared gradient.
        fused: use torch's single-kernel step.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        fused: bool | None = None,
    ) -> None:
        if eps < 0 or betas[1] <= 0:
            raise ValueError(f"eps must be at least 0 and the second of betas above 0, got {eps} and {betas}.")
        super().__init__(params, lr, betas, eps=0.0, fused=fused)
        for group in self.param_groups:
            group["eps_under_root"] = eps

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        # The average of g^2 + eps, corrected for its bias, is v + eps: each average is given the new share of eps.
        for group in self.param_groups:
            squares: list[Tensor] = []
            self._init_group(group, [], [], [], squares, [], [])  # type: ignore[no-untyped-call]
            if squares:
                beta = group["betas"][1]
                torch._foreach_add_(squares, group["eps_under_root"] * (1 - beta) / beta)
        loss: float | None = super().step(closure)
        return loss


OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adam_root": AdamRoot,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
SCHEDULES: dict[str, list[str]] = {
    "constant": [],
    "linear": ["updates"],
    "cosine": ["updates"],
    "step": ["every", "factor"],
    "exponential": ["factor"],
    "momentum": ["every", "factor", "growth", "most"],
}
"""The schedules with their options."""


def one_of(what: str, name: Any, names: Iterable[str]) -> str:
    """The name itself, or an error that lists the possibilities."""
    if name in (names := list(names)):
        return str(name)
    close = difflib.get_close_matches(str(name), names, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no {what} called {name!r}.{hint} Possible: {', '.join(names) or 'none'}.")


def build_optimizer(
    options: Mapping[str, Any], parameters: Iterable[nn.Parameter], *, fused: bool = False
) -> torch.optim.Optimizer:
    """An optimizer from ``{"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}``.

    Args:
        options: ``name`` is one of ``OPTIMIZERS``; everything else goes to the torch class. An option that is None has
            its default there: another optimizer's, say.
        parameters: what it moves.
        fused: use torch's single-kernel step where the optimizer has one.

    Raises:
        ValueError: if the name is unknown or the torch class does not take an option.
    """
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in options.items()
        if key != "name" and value is not None
    }
    name = one_of("optimizer", options.get("name"), OPTIMIZERS)
    own = given.keys() & {"fused", "foreach", "differentiable"}
    for key in given.keys() - inspect.signature(OPTIMIZERS[name]).parameters.keys():
        raise ValueError(f"The optimizer {name!r} has no option {key!r}: leave it out, or set it to null.")
    extra: dict[str, Any] = {"fused": True} if fused and name != "rmsprop" and not own else {}
    try:
        return OPTIMIZERS[name](parameters, **given, **extra)
    except (TypeError, IndexError, RuntimeError) as error:
        raise ValueError(f"The optimizer {name!r} does not accept these options: {given} ({error}).") from error


def build_schedule(options: Mapping[str, Any], optimizer: torch.optim.Optimizer, max_updates: int) -> LRScheduler:
    """A learning-rate schedule from ``{"name": "step", "every": 1000, "factor": 0.5}``, stepped once an update.

    ``constant``; ``linear`` from the full rate to 0 and ``cosine`` to 0 over ``updates`` (the whole run if not given),
    0 from there on; ``step`` multiplies by ``factor`` after each ``every`` updates; ``exponential`` by ``factor`` after
    each update; ``momentum``, for SGD, adds ``growth`` to the momentum after each ``every`` updates until it is
    ``most``, and multiplies the rate by ``factor`` (1 if not given), as LAPGAN is trained. An option that is None has
    its default.

    Raises:
        ValueError: if the name or an option is unknown, a number is not above 0, or the length of the run is needed and
            not known.
    """
    name = one_of("learning-rate schedule", options.get("name"), SCHEDULES)
    given = {key: value for key, value in options.items() if key != "name" and value is not None}
    for key, value in given.items():
        one_of(f"option of the schedule {name!r}", key, SCHEDULES[name])
        if not isinstance(value, int | float) or value <= 0:
            raise ValueError(f"{key} of the schedule {name!r} must be a number above 0, got {value!r}.")
    length = given.get("updates", max_updates)
    if name in ("linear", "cosine") and length < 1:
        raise ValueError(f"The schedule {name!r} must know its length: set its `updates` or trainer.max_steps.")
    growing = name == "momentum"
    schedule = GrowingMomentum(optimizer, **given) if growing else LambdaLR(optimizer, _rate(name, length, given))
    # Updates are counted whoever made them: torch would warn where a player's own first step comes later.
    optimizer._opt_called = True  # type: ignore[attr-defined]
    return schedule


class GrowingMomentum(LambdaLR):
    """min(momentum + growth * e, most), and the rate times factor^e, e = updates // every.

    Args:
        optimizer: SGD with momentum.
        every: updates.
        factor: of the rate.
        growth: of the momentum.
        most: momentum.

    Raises:
        ValueError: if the optimizer has no momentum to grow, or more than ``most`` from the start.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        every: int = 1000,
        factor: float = 1.0,
        growth: float = 0.0008,
        most: float = 0.7,
    ) -> None:
        self.every, self.growth, self.most = every, growth, most
        for group in optimizer.param_groups:
            start = group.setdefault("initial_momentum", group.get("momentum", 0.0))
            if not 0 < start <= most:
                raise ValueError(
                    f"The schedule 'momentum' needs sgd with a momentum above 0 and at most its `most`, {most}; the "
                    f"momentum here is {start}."
                )
        super().__init__(optimizer, lambda update: factor ** (update // every))

    @override
    def get_lr(self) -> list[float | Tensor]:
        for group in self.optimizer.param_groups:
            grown = group["initial_momentum"] + self.growth * (self.last_epoch // self.every)
            group["momentum"] = min(grown, self.most)
        return super().get_lr()


def _rate(name: str, length: float, given: Mapping[str, float]) -> Callable[[int], float]:
    """The share of the full learning rate after a number of updates: closed forms, so that nothing has to be saved."""
    match name:
        case "linear":
            return lambda update: max(0.0, 1 - update / length)
        case "cosine":
            return lambda update: (1 + math.cos(math.pi * min(1.0, update / length))) / 2
        case "step":
            every, factor = given.get("every", 1000), given.get("factor", 0.5)
            return lambda update: factor ** (update // every)
        case "exponential":
            each = given.get("factor", 0.999)
            return lambda update: each**update
    return lambda update: 1.0
