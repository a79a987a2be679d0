"""What tricks ask about the condition of a game, before there is a batch."""

from lit_gans.gan import GAN


def is_conditional(game: GAN) -> bool:
    """Whether something of each batch conditions both networks."""
    try:
        return game.condition({}) is not None
    except KeyError:  # it looked for something in the batch
        return True


def check_unconditional(game: GAN, reason: str) -> None:
    """Makes sure that nothing conditions the networks.

    Args:
        game: whose networks they are.
        reason: why conditions have no meaning, the beginning of a sentence.

    Raises:
        ValueError: if the model is conditional.
    """
    if is_conditional(game):
        # A level of a pyramid is conditional without classes, too.
        remedy = "set model.num_classes=0, or leave it out" if getattr(game, "num_classes", 0) else "leave it out"
        raise ValueError(f"{reason}: {remedy}.")
