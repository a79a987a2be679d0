"""What a class can be given: the arguments of its constructor, and of those that it hands the rest up to."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

Parameters = list[inspect.Parameter]


@dataclass(frozen=True)
class Options:
    """The arguments of a constructor.

    Attributes:
        annotations: by name; Any where there is none.
        required: the names that have no default.
        open: whether it takes any other name, too.
    """

    annotations: Mapping[str, Any]
    required: frozenset[str]
    open: bool


def options_of(target: Any) -> Options:
    """The options of a class or function.

    A constructor with ``**rest`` hands the rest up to the next one in the order of resolution; if the last does so too,
    nobody says what is accepted, and everything is.
    """
    annotations: dict[str, Any] = {}
    required: set[str] = set()
    for constructor in _constructors(target):
        parameters = _parameters(constructor)
        if parameters is None:
            break
        hints = _hints(constructor)
        for parameter in parameters[1:] if isinstance(target, type) else parameters:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or parameter.name in annotations:
                continue
            annotations[parameter.name] = hints.get(parameter.name, Any)
            if parameter.default is parameter.empty:
                required.add(parameter.name)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return Options(annotations, frozenset(required), open=False)
    return Options(annotations, frozenset(required), open=True)


def _constructors(target: Any) -> list[Callable[..., Any]]:
    if not isinstance(target, type):
        return [target]
    own = [vars(cls)["__init__"] for cls in target.__mro__[:-1] if "__init__" in vars(cls)]
    return own or [_nothing]


def _nothing(self: Any) -> None:
    """The constructor of a class that has none."""


def _parameters(constructor: Callable[..., Any]) -> Parameters | None:
    with suppress(ValueError, TypeError):
        return list(inspect.signature(constructor).parameters.values())
    return None  # written in C, without a signature


def _hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    inner = inspect.unwrap(constructor)
    hints: dict[str, Any] = {}
    # One by one: a name imported for type checkers only spoils no other's.
    for name, annotation in getattr(inner, "__annotations__", {}).items():
        with suppress(Exception):
            alone: Any = SimpleNamespace(__annotations__={name: annotation})
            hints |= get_type_hints(alone, globalns=getattr(inner, "__globals__", {}))
    return hints
