"""Relativistic losses in the game: against plain loops, over any model, without labels."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from lit_gans import GAN, compose
from lit_gans.mixins import OneSidedLabelSmoothing, Relativistic
from lit_gans.models import DCGAN, WGANGP
from tests.conftest import TINY, fit, images
from tests.mixins.twin import check_looked_ahead, check_twin


def loss(first: Tensor, second: Tensor, average: bool) -> Tensor:
    """How little more real the first are than the second."""
    if not average:
        return sum(-logsigmoid(a - b) for a, b in zip(first, second, strict=True)) / len(first)
    more = sum(-logsigmoid(a - second.mean()) for a in first) / len(first)
    return (more + sum(-logsigmoid(first.mean() - b) for b in second) / len(second)) / 2


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("average", [False, True])
def test_equals_a_plain_loop(average: bool, n_critic: int) -> None:
    def d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return loss(discriminator(real), discriminator(fake), average)

    def g_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return loss(discriminator(fake), discriminator(real), average)

    cls = compose(DCGAN, Relativistic)
    check_twin(cls(**TINY, n_critic=n_critic, relativistic_average=average).double(), n_critic, d_loss, g_loss)


@pytest.mark.parametrize("average", [False, True])
def test_it_replaces_the_losses_of_any_model(average: bool) -> None:
    """With one seed, DCGAN's and WGAN-GP's networks without their penalty play the same game."""
    real, fake = torch.randn(2, 8, 1, 16, 16)
    values = []
    for model in (DCGAN, WGANGP):
        game = compose(model, Relativistic)(**TINY, discriminator_norm="none", relativistic_average=average)
        values.append((game.discriminator_loss(real, fake, None), game.generator_loss(real, fake, None)))
    assert values[0] == values[1]


def test_in_the_generators_turn_real_samples_are_constants() -> None:
    seen: list[Tensor] = []

    class Spy(DCGAN):
        def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
            seen.append(super().discriminate(x, condition))
            return seen[-1]

    fit(compose(Spy, Relativistic)(**TINY), images(8), max_epochs=1)
    assert [logits.requires_grad for logits in seen] == [True, True, False, True]


@pytest.mark.parametrize("average", [False, True])
def test_real_samples_are_no_constants_where_the_discriminator_looks_ahead(average: bool) -> None:
    check_looked_ahead(Relativistic, relativistic_average=average)


@pytest.mark.parametrize("order", [(OneSidedLabelSmoothing, Relativistic), (Relativistic, OneSidedLabelSmoothing)])
def test_there_are_no_labels_to_smooth(order: tuple[type[GAN], ...]) -> None:
    with pytest.raises(ValueError, match=r"has none: .* relativistic .*tricks\.relativistic=null"):
        compose(DCGAN, *order)(**TINY)
