"""Every pair of tricks on every model: it trains a few turns, or is refused by a sentence that says what to do."""

import itertools
from typing import Any

import pytest
import torch

from lit_gans import Sampler, compose
from tests.conftest import TINY, fit, images
from tests.mixins.test_tricks import MODELS, NO_BATCH_NORM, REMEDIES, SMALL, TRICKS, options_of, trick_classes

PAIRS = list(itertools.combinations(TRICKS, 2))
TRAINED = ("dcgan",)
"""The model on which every pair trains by default; on the others with ``-m slow``."""


def made(model: str, pair: tuple[str, str]) -> Sampler | str:
    """The model with both tricks, or the sentence that refuses it, whichever of the two is named first."""
    given: dict[str, Any] = {**SMALL.get(model, TINY), **(NO_BATCH_NORM if model == "dcgan" else {})}
    for trick in pair:
        given |= options_of(trick)
    refusal = ""
    for order in (pair, pair[::-1]):
        try:
            return compose(MODELS[model], *(trick_classes(trick)[0] for trick in order))(**given)
        except ValueError as error:
            refusal = str(error)
    return refusal


def check(model: str, pair: tuple[str, str], *, train: bool) -> str:
    """What is wrong with a pair on a model; empty if nothing is."""
    game = made(model, pair)
    if isinstance(game, str):
        return "" if any(word in game for word in REMEDIES) else f"refused without a remedy: {game}"
    if train:
        fit(game, images(24), 8, max_steps=2)
        if not all(bool(parameter.isfinite().all()) for parameter in game.parameters()):
            return "has weights that are not finite"
    return ""


@pytest.mark.parametrize("first", TRICKS)
@pytest.mark.parametrize("model", MODELS)
def test_every_pair_is_made_or_refused_by_a_sentence(model: str, first: str) -> None:
    pairs = [pair for pair in PAIRS if pair[0] == first]
    assert {pair: wrong for pair in pairs if (wrong := check(model, pair, train=model in TRAINED))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", TRICKS)
@pytest.mark.parametrize("model", sorted(MODELS.keys() - set(TRAINED)))
def test_every_pair_trains_on_every_model(model: str, first: str) -> None:
    pairs = [pair for pair in PAIRS if pair[0] == first]
    assert {pair: wrong for pair in pairs if (wrong := check(model, pair, train=True))} == {}


def test_most_pairs_train() -> None:
    """Refusals stay the exception: a rule that refuses everything would pass the tests above."""
    torch.manual_seed(0)
    refused = [pair for pair in PAIRS if isinstance(made("dcgan", pair), str)]
    assert len(refused) < len(PAIRS) / 4
