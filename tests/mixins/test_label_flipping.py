"""Flipped labels in the game: how many, whose, in which turn."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lit_gans import compose
from lit_gans.mixins import LabelFlipping, OneSidedLabelSmoothing
from lit_gans.models import DCGAN, MLPGAN, WGANGP
from tests.conftest import TINY, fit, images
from tests.mixins.twin import BATCH, check_twin

Flipped = compose(DCGAN, LabelFlipping)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_equals_a_plain_loop(n_critic: int) -> None:
    """With smoothing: whoever plays the real one has the label 0.8."""

    def d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        total = 0.0
        for r, f, u in zip(
            discriminator(real), discriminator(fake), torch.rand(BATCH, dtype=torch.float32), strict=True
        ):
            as_real, as_fake = (f, r) if u < 0.4 else (r, f)
            total += 0.8 * softplus(-as_real) + 0.2 * softplus(as_real) + softplus(as_fake)
        return total / BATCH

    cls = compose(DCGAN, LabelFlipping, OneSidedLabelSmoothing)
    model = cls(**TINY, label_flip_probability=0.4, smooth_target=0.8, n_critic=n_critic).double()
    check_twin(model, n_critic, d_loss)


def logits(probability: float, n: int, model: type = DCGAN) -> tuple[Tensor, ...]:
    """Those of the loss, and the discriminator's own."""
    game = compose(model, LabelFlipping)(**TINY, label_flip_probability=probability, discriminator_norm="none")
    real, fake = torch.randn(2, n, 1, 16, 16)
    torch.manual_seed(n)
    with torch.no_grad():
        return *game.discriminator_logits(real, fake, None), game.discriminate(real), game.discriminate(fake)


@pytest.mark.parametrize("model", [DCGAN, WGANGP])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_never_and_always(n: int, model: type) -> None:
    as_real, as_fake, real, fake = logits(0.0, n, model)
    assert torch.equal(as_real, real)
    assert torch.equal(as_fake, fake)
    as_real, as_fake, real, fake = logits(1.0, n, model)
    assert torch.equal(as_real, fake)
    assert torch.equal(as_fake, real)


def test_as_often_as_asked_for_and_in_pairs() -> None:
    as_real, as_fake, real, fake = logits(0.3, 4000)
    flipped = as_real == fake
    assert torch.equal(as_fake == real, flipped)
    assert torch.equal(as_real[~flipped], real[~flipped])
    assert float(flipped.double().mean()) == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 4000) ** 0.5)


def test_a_sample_with_several_logits_is_flipped_whole() -> None:
    class Several(MLPGAN):
        def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
            return x.flatten(1)

    model = compose(Several, LabelFlipping)(label_flip_probability=0.5)
    real, fake = torch.randn(2, 64, 2).unbind()
    as_real, as_fake = model.discriminator_logits(real, fake, None)
    flipped = (as_real == fake).all(1)
    assert 0 < int(flipped.sum()) < 64
    torch.testing.assert_close(
        as_real, torch.stack([f if x else r for r, f, x in zip(real, fake, flipped, strict=True)])
    )
    torch.testing.assert_close(as_fake, real + fake - as_real)


def test_the_expected_loss_is_the_mixture() -> None:
    """With flips p the mean loss is (1 - p) L(real, fake) + p L(fake, real)."""
    torch.manual_seed(0)
    model = compose(MLPGAN, LabelFlipping)(label_flip_probability=0.25)
    real, fake = torch.randn(2, 8, 2).unbind()
    plain = MLPGAN()
    plain.discriminator = model.discriminator
    with torch.no_grad():
        losses = torch.stack([model.discriminator_loss(real, fake, None) for _ in range(2000)])
        expected = 0.75 * plain.discriminator_loss(real, fake, None) + 0.25 * plain.discriminator_loss(fake, real, None)
    assert float(losses.mean()) == pytest.approx(float(expected), abs=4 * float(losses.std()) / 2000**0.5)


def test_the_generator_is_told_no_lies() -> None:
    seen: list[bool] = []

    class Spy(DCGAN):
        def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
            loss = super().generator_loss(real, fake, condition)
            seen.append(torch.equal(loss, softplus(-self.discriminate(fake, condition)).mean()))
            return loss

    fit(compose(Spy, LabelFlipping)(**TINY, label_flip_probability=1.0), images(16), max_epochs=1)
    assert seen == [True, True]


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_options_out_of_range_are_refused(probability: float) -> None:
    with pytest.raises(ValueError, match=rf"label_flip_probability must be in \[0, 1\], got {probability}"):
        Flipped(**TINY, label_flip_probability=probability)
