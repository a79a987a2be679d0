"""Smoothed labels in the game: real ones alone by default, with a warning the fakes' too."""

import warnings

import pytest
from torch import Tensor, nn, ones_like
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from lit_gans import GAN, compose
from lit_gans.mixins import OneSidedLabelSmoothing
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY
from tests.mixins.twin import check_twin


@pytest.mark.parametrize("model", [DCGAN, MLPGAN])
def test_both_labels_equal_a_plain_loop(model: type[GAN]) -> None:
    def d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        r, f = discriminator(real), discriminator(fake)
        return bce(r, 0.7 * ones_like(r)) + bce(f, 0.2 * ones_like(f))

    cls = compose(model, OneSidedLabelSmoothing)
    sizes = TINY if model is DCGAN else {"latent_dim": 4, "sample_shape": [1, 16, 16]}
    with pytest.warns(UserWarning, match=r"smooth_fake_target=0\.2 .* no pull towards the data"):
        game = cls(**sizes, smooth_target=0.7, smooth_fake_target=0.2)
    check_twin(game.double(), 1, d_loss)


def test_one_side_alone_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = compose(MLPGAN, OneSidedLabelSmoothing)()
    assert (model.real_target, model.fake_target) == (0.9, 0.0)


def test_a_models_own_fake_label_stays() -> None:
    class Pearson(MLPGAN):
        fake_target = -1.0

    model = compose(Pearson, OneSidedLabelSmoothing)()
    assert (model.real_target, model.fake_target) == (0.9, -1.0)


@pytest.mark.parametrize("value", [-0.1, 0.9, 1.0])
def test_options_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=rf"at least 0 and below smooth_target=0\.9, got {value}"):
        compose(MLPGAN, OneSidedLabelSmoothing)(smooth_fake_target=value)
