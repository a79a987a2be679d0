"""Whether networks are still made of numbers."""

import math

import torch
from torch import nn
from torch.nn.utils import get_total_norm

from lit_gans.game import Game


def broken_players(game: Game) -> list[str]:
    """The players whose networks hold a NaN or an infinity, in a weight or a running statistic."""
    return [player.name for player in game.game if not all(map(_is_finite, player.networks))]


def _is_finite(network: nn.Module) -> bool:
    tensors = [t.detach() for t in (*network.parameters(), *network.buffers()) if t.is_floating_point() and t.numel()]
    # One number, so that a GPU is waited for once.
    return not tensors or bool(torch.isfinite(get_total_norm(tensors, math.inf)))
