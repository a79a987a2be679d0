from typing import Any

from lit_gans.configs.signatures import options_of


class Closed:
    def __init__(self, a: int, *, b: "str" = "", c=None, d: "NowhereDefined" = 0) -> None:  # noqa: F821
        pass


class Below(Closed):
    def __init__(self, *, own: float, b: bool = True, **rest: Any) -> None:
        super().__init__(**rest)


class Open:
    def __init__(self, *, a: int = 0, **rest: Any) -> None:
        pass


class Bare:
    pass


def test_the_options_of_a_constructor() -> None:
    options = options_of(Closed)
    assert options.annotations == {"a": int, "b": str, "c": Any, "d": Any}
    assert options.required == {"a"}
    assert not options.open


def test_rest_is_handed_up_and_the_lower_class_decides() -> None:
    options = options_of(Below)
    assert options.annotations == {"own": float, "b": bool, "a": int, "c": Any, "d": Any}
    assert options.required == {"own", "a"}
    assert not options.open


def test_rest_that_nobody_closes_takes_everything() -> None:
    assert options_of(Open).open
    assert options_of(Open).annotations == {"a": int}


def test_a_class_without_constructor_has_no_options() -> None:
    assert options_of(Bare).annotations == {}
    assert not options_of(Bare).open


def test_a_function_has_options_too() -> None:
    def make(size: int, **more: Any) -> None: ...

    assert options_of(make).annotations == {"size": int}
    assert options_of(make).open


def test_what_is_written_in_c_takes_everything() -> None:
    assert options_of(dict).open
