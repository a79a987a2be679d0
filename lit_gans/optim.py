"""Optimizers and learning-rate schedules from plain dictionaries, counted in generator updates."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR, LRScheduler, StepLR

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("constant", "linear", "cosine", "step", "exponential")


def _one_of(what: str, name: Any, names: Iterable[str]) -> str:
    """The name itself, or an error that lists the possibilities."""
    if name in (names := list(names)):
        return str(name)
    close = difflib.get_close_matches(str(name), names, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no {what} called {name!r}.{hint} Possible: {', '.join(names)}.")


def build_optimizer(
    options: Mapping[str, Any], parameters: Iterable[nn.Parameter], *, fused: bool = False
) -> torch.optim.Optimizer:
    """An optimizer from ``{"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}``.

    Args:
        options: ``name`` is one of ``OPTIMIZERS``; everything else goes to the torch class.
        parameters: what it moves.
        fused: use torch's single-kernel step where the optimizer has one.

    Raises:
        ValueError: if the name is unknown or the torch class does not take an option.
    """
    rest = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items() if key != "name"}
    name = _one_of("optimizer", options.get("name"), OPTIMIZERS)
    if fused and name != "rmsprop":
        rest.setdefault("fused", True)
    try:
        return OPTIMIZERS[name](parameters, **rest)  # type: ignore[call-arg]
    except TypeError as error:
        raise ValueError(f"The optimizer {name!r} does not accept these options: {rest} ({error}).") from error


def build_schedule(options: Mapping[str, Any], optimizer: torch.optim.Optimizer, max_updates: int) -> LRScheduler:
    """A learning-rate schedule from ``{"name": "step", "every": 1000, "factor": 0.5}``, stepped once an update.

    ``constant``; ``linear`` from the full rate to 0 and ``cosine`` to 0 over ``updates`` (the whole run if not given);
    ``step`` multiplies by ``factor`` after each ``every`` updates; ``exponential`` by ``factor`` after each update.

    Raises:
        ValueError: if the name or an option is unknown, or the length of the run is needed and not known.
    """
    name = _one_of("learning-rate schedule", options.get("name"), SCHEDULES)
    expected = {"linear": {"updates"}, "cosine": {"updates"}, "step": {"every", "factor"}, "exponential": {"factor"}}
    for key in options.keys() - {"name"}:
        _one_of(f"option of the schedule {name!r}", key, sorted(expected.get(name, ())))
    length = options.get("updates") or max_updates
    if name in ("linear", "cosine") and length < 1:
        raise ValueError(f"The schedule {name!r} must know its length: set its `updates` or trainer.max_steps.")
    match name:
        case "linear":
            return LambdaLR(optimizer, lambda update: max(0.0, 1 - update / length))
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=length)
        case "step":
            return StepLR(optimizer, options.get("every", 1000), options.get("factor", 0.5))
        case "exponential":
            return ExponentialLR(optimizer, options.get("factor", 0.999))
    return LambdaLR(optimizer, lambda update: 1.0)
