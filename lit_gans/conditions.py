"""What tricks ask about the condition of a game, before there is a batch."""

from lit_gans.gan import GAN


def is_conditional(game: GAN) -> bool:
    """Whether something of each batch conditions both networks."""
    try:
        return game.condition({}) is not None
    except KeyError:  # it looked for something in the batch
        return True
