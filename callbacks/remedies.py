"""What is likely to help when a game goes wrong, by the names of the tricks."""

from collections.abc import Sequence
from importlib.util import find_spec

from lit_gans import GAN

TRICKS = {
    "collapse": ("unrolled", "minibatch_discrimination", "pacgan"),
    "victory": ("r1", "spectral_norm", "instance_noise", "diff_augment", "label_smoothing"),
    "breakdown": ("r1", "spectral_norm"),
}
"""Against each event, the likeliest first; those that a model has already are not worth a word."""
OTHERS = {
    "collapse": "smaller learning rates",
    "victory": "a smaller learning rate of the discriminator",
    "breakdown": "smaller learning rates",
}
MOST = 3


def remedies(event: str, model: GAN) -> str:
    """What to try next: at most three tricks that the model does without, and what is no trick."""
    missing = [trick for trick in TRICKS[event] if find_spec(_module(trick)) and not has(model, trick)]
    return listed([*(f"tricks=[{trick}]" for trick in missing[:MOST]), OTHERS[event]], "or")


def has(model: GAN, trick: str) -> bool:
    """Whether a trick is a part of the model, composed or by its own class."""
    return any(cls.__module__ == _module(trick) for cls in type(model).__mro__)


def listed(words: Sequence[str], last: str) -> str:
    """The words with commas, and a conjunction before the last one."""
    return f" {last} ".join([part for part in (", ".join(words[:-1]), *words[-1:]) if part])


def _module(trick: str) -> str:
    """A trick's file has its name."""
    return f"lit_gans.mixins.{trick}"
