"""GANs and their stabilising tricks as PyTorch Lightning modules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_gans.checkpoint import load
    from lit_gans.composition import compose
    from lit_gans.game import Batch, Game, Player
    from lit_gans.games import Games
    from lit_gans.gan import GAN
    from lit_gans.sampler import Sampler

__all__ = ["GAN", "Batch", "Game", "Games", "Player", "Sampler", "compose", "load"]
__version__ = "0.1.0"

_HOMES = {
    "GAN": "gan",
    "Batch": "game",
    "Game": "game",
    "Games": "games",
    "Player": "game",
    "Sampler": "sampler",
    "compose": "composition",
    "load": "checkpoint",
}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, which the command line's help, completion and error messages need not wait for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
