"""Whether a value of a configuration is one that a constructor takes, and what it becomes."""

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text",
    type(None): "null",
    dict: "a mapping",
}


class Mismatch(ValueError):
    """The value is of another type."""


def fit(value: Any, annotation: Any) -> Any:
    """The value as the annotated type: 5 for a float becomes 5.0, 1e3 for an int 1000, 2024 for a str "2024".

    An annotation that says nothing about plain values (a type variable, a string that does not resolve) takes all.

    Raises:
        Mismatch: if it is of another type.
    """
    if annotation in (Any, object) or isinstance(annotation, str):
        return value
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _fit_any(value, arguments)
    if origin is Literal:
        return _require(value in arguments, value)
    if annotation is None:
        return _require(value is None, value)
    if isinstance(value, dict) and "_target_" in value:
        return value
    kind = origin or annotation
    return _fit_class(value, kind, arguments) if isinstance(kind, type) else value


def _fit_any(value: Any, annotations: Sequence[Any]) -> Any:
    exact = [a for a in annotations if get_origin(a) is None and isinstance(a, type) and type(value) is a]
    for annotation in (*exact, *annotations):
        try:
            return fit(value, annotation)
        except Mismatch:
            continue
    raise Mismatch


def _fit_class(value: Any, kind: type, arguments: tuple[Any, ...]) -> Any:
    if kind in (int, float, str, bool) or issubclass(kind, Path):
        return _fit_scalar(value, kind)
    if isinstance(value, list) and (kind is tuple or issubclass(list, kind)):
        fixed = kind is tuple and arguments and arguments[-1] is not ...
        _require(not fixed or len(value) == len(arguments), value)
        each = arguments if fixed else [arguments[0] if arguments else Any] * len(value)
        return [fit(item, annotation) for item, annotation in zip(value, each, strict=True)]
    if isinstance(value, dict) and issubclass(kind, Mapping):
        return {key: fit(item, arguments[1] if len(arguments) == 2 else Any) for key, item in value.items()}
    return _require(isinstance(value, kind), value)


def _fit_scalar(value: Any, kind: type) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and float(value).is_integer():
        return int(value)
    if kind in (int, float, bool):
        return _require(type(value) is kind, value)
    # A shell user cannot easily say that the folder 2024 is text.
    return str(value) if kind is str and number else _require(isinstance(value, str), value)


def _require(condition: bool, value: Any) -> Any:
    if not condition:
        raise Mismatch
    return value


def like(default: Any) -> Any:
    """An annotation for values of the default's kind, for places that have none; null and ``${…}`` are of no kind."""
    if isinstance(default, str) and "${" in default:
        return Any
    if isinstance(default, bool | int | str):
        return int | float if type(default) is int else type(default)
    if isinstance(default, float):
        return int | float
    if isinstance(default, list) and default:
        return list[like(default[0])]  # type: ignore[misc]
    return list if isinstance(default, list) else Any


def described(annotation: Any) -> str:
    """The annotation in words."""
    if annotation in WORDS:
        return WORDS[annotation]
    if annotation is None:
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _alternatives(arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    kind = origin or annotation
    if isinstance(kind, type) and (kind is tuple or issubclass(list, kind)):
        inner = [argument for argument in arguments if argument is not ...]
        return f"a list of {', '.join(dict.fromkeys(map(_plural, inner)))}" if inner else "a list"
    return WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _alternatives(annotations: Sequence[Any]) -> str:
    literals = dict.fromkeys(str(item) for a in annotations if get_origin(a) is Literal for item in get_args(a))
    words = dict.fromkeys(described(a) for a in annotations if get_origin(a) is not Literal)
    # What only Python can make is no news to someone who writes a configuration.
    plain = [word for word in words if word in WORDS.values() or word.startswith("a list")] or list(words)
    if "a number" in plain and "an integer" in plain:
        plain.remove("an integer")
    return " or ".join([*([f"one of {', '.join(literals)}"] if literals else []), *plain])


def _plural(annotation: Any) -> str:
    plurals = {int: "integers", float: "numbers", int | float: "numbers", str: "texts"}
    return plurals.get(annotation, f"items that are {described(annotation)}")
