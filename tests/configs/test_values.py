import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Optional, TypeVar

import pytest
from torch import nn

from lit_gans.configs.values import Mismatch, described, fit, like

T = TypeVar("T")


@pytest.mark.parametrize(
    ("value", "annotation", "becomes"),
    [
        (5, int, 5),
        (1e3, int, 1000),
        (5, float, 5.0),
        (0.5, float, 0.5),
        (float("inf"), float, float("inf")),
        (True, bool, True),
        ("a", str, "a"),
        (2024, str, "2024"),
        (None, int | None, None),
        (5, float | None, 5.0),
        (1.0, int | float | None, 1.0),
        (1, int | float | None, 1),
        (2, list[int] | str | int, 2),
        ([0, 1], list[int] | str | int, [0, 1]),
        ([1, 0.5], list[float], [1.0, 0.5]),
        ([1, 2.0], tuple[int, float], [1, 2.0]),
        ([1, 2, 3], tuple[int, ...], [1, 2, 3]),
        ([1], Sequence[int], [1]),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ({"a": "b"}, dict[str, Any] | None, {"a": "b"}),
        ("warn", bool | Literal["warn"] | None, "warn"),
        (16, Literal["16-mixed"] | Literal[16, 32], 16),
        ("digits", str | nn.Module, "digits"),
        ({"_target_": "torch.nn.Identity"}, nn.Module, {"_target_": "torch.nn.Identity"}),
        ("folder", str | Path, "folder"),
        ("folder", Path, "folder"),
        ("anything", T, "anything"),
        ("anything", "Unresolved", "anything"),
        ([1, "a"], list, [1, "a"]),
    ],
)
def test_values_that_fit(value: Any, annotation: Any, becomes: Any) -> None:
    found = fit(value, annotation)
    assert found == becomes
    assert type(found) is type(becomes)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ("ten", int),
        (1.5, int),
        (float("nan"), int),
        (True, int),
        (True, float),
        (1, bool),
        ("true", bool),
        (True, str),
        (None, int),
        (None, str),
        ("fast", float | None),
        ("3", list[int]),
        ([1, "b"], list[int]),
        ([1], tuple[int, int]),
        ([1], dict[str, int]),
        ({"a": "b"}, dict[str, int]),
        ("warm", bool | Literal["warn"] | None),
        (3, nn.Module),
        ("f", Callable[[], None]),
        (3, Path),
    ],
)
def test_values_that_do_not_fit(value: Any, annotation: Any) -> None:
    with pytest.raises(Mismatch):
        fit(value, annotation)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (Optional[int], "an integer or null"),  # noqa: UP045
        (float | int, "a number"),
        (list[float], "a list of numbers"),
        (tuple[int, ...], "a list of integers"),
        (list, "a list"),
        (dict[str, Any] | None, "a mapping or null"),
        (str | nn.Module, "text"),
        (nn.Module, "Module"),
        (bool | Literal["warn"] | None, "one of warn or true or false or null"),
        (like([0.5, 1.0]), "a list of numbers"),
    ],
)
def test_annotations_in_words(annotation: Any, words: str) -> None:
    assert re.sub(r"\s+", " ", described(annotation)) == words


@pytest.mark.parametrize(
    ("default", "good", "bad"),
    [
        (0.5, 1, "a"),
        (3, 0.5, "a"),
        (True, False, 1),
        ("adam", "sgd", None),
        ([0.5, 0.9], [0, 1], [0, "a"]),
        ([0.5, 0.9], [], 0.5),
        ([], ["a"], "a"),
    ],
)
def test_a_default_says_which_kind_is_wanted(default: Any, good: Any, bad: Any) -> None:
    assert fit(good, like(default)) == good
    with pytest.raises(Mismatch):
        fit(bad, like(default))


@pytest.mark.parametrize("default", [None, "${seed}"])
def test_a_default_of_no_kind_says_nothing(default: Any) -> None:
    assert fit("anything", like(default)) == "anything"
    assert fit(0, like(default)) == 0
