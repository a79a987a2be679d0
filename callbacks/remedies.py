"""What is likely to help when a game goes wrong, by the names of the tricks."""

from collections.abc import Callable, Sequence

from lit_gans import Games, Sampler

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
NEEDS: dict[str, Callable[[Sampler], bool]] = {
    "label_smoothing": lambda model: model.has_labels,
    "diff_augment": lambda model: len(model.sample_shape or ()) == 3,
}
"""What a model must be for a trick to be worth a word; the others go with all, or say what has to be changed."""
MOST = 3


def remedies(event: str, model: Sampler) -> str:
    """What to try next: at most three tricks that the model does without, and what is no trick."""
    missing = [trick for trick in TRICKS[event] if not has(model, trick) and _suits(trick, model)]
    return listed([*(f"tricks=[{trick}]" for trick in missing[:MOST]), OTHERS[event]], "or")


def has(model: Sampler, trick: str) -> bool:
    """Whether a trick is a part of the model, composed or by its own class."""
    made = model.game_class if isinstance(model, Games) else type(model)
    return any(cls.__module__ == _module(trick) for cls in made.__mro__)


def _suits(trick: str, model: Sampler) -> bool:
    return trick not in NEEDS or NEEDS[trick](model)


def listed(words: Sequence[str], last: str) -> str:
    """The words with commas, and a conjunction before the last one."""
    return f" {last} ".join([part for part in (", ".join(words[:-1]), *words[-1:]) if part])


def _module(trick: str) -> str:
    """A trick's file has its name."""
    return f"lit_gans.mixins.{trick}"
