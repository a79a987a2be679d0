"""Any trick with any model: the subclass that ``class Mine(Trick, Model)`` would define."""

from typing import Any, TypeVar, cast

from lit_gans.game import BuiltAfterInit
from lit_gans.games import Games
from lit_gans.gan import GAN
from lit_gans.sampler import Sampler


def import_path(cls: type) -> str:
    """``module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _check(model: type[Sampler], tricks: tuple[type[GAN], ...]) -> None:
    """Refuses what no class can be made of."""
    for position, trick in enumerate(tricks):
        if not (isinstance(trick, type) and issubclass(trick, GAN)):
            raise TypeError(f"A trick must be a class that extends lit_gans.GAN, got {trick!r}.")
        if trick in tricks[:position]:
            raise ValueError(f"The trick {trick.__name__} is named twice: once is enough.")
        if issubclass(model, trick):
            raise ValueError(f"{model.__name__} has the trick {trick.__name__} already: leave it out.")
    for loss in ("discriminator_loss", "generator_loss"):
        owners = [trick.__name__ for trick in tricks if loss in vars(trick)]
        if len(owners) > 1:
            raise ValueError(f"{' and '.join(owners)} each have a {loss} of their own: leave it out of all but one.")


M = TypeVar("M", bound=Sampler)


def compose(model: type[M], *tricks: type[GAN]) -> type[M]:
    """The class ``class Composed(*tricks, model)``, which knows what it was made of.

    Args:
        model: a model. The tricks of one that is made of several games are each game's own.
        tricks: mixins of :mod:`lit_gans.mixins` or one's own, the outermost first.

    Raises:
        ValueError: if a trick is named twice or is a part of the model already, or two want to replace one loss.
        TypeError: if a trick is not a mixin over :class:`lit_gans.GAN`.
    """
    _check(model, tricks)
    if not tricks:
        return model

    def recipe(cls: type[Sampler]) -> dict[str, Any]:
        return {"model": import_path(model), "tricks": [import_path(trick) for trick in tricks]}

    name = "".join(trick.__name__ for trick in tricks) + model.__name__
    body: dict[str, Any] = {"__module__": model.__module__, "__doc__": model.__doc__, "recipe": classmethod(recipe)}
    if issubclass(model, Games):
        body["game_class"] = compose(model.game_class, *tricks)
        return cast(type[M], BuiltAfterInit(name, (model,), body))
    return cast(type[M], BuiltAfterInit(name, (*tricks, model), body))
