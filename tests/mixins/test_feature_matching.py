"""Feature matching in the game: against plain loops, at any layer, under unrolling, beside other objectives."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lit_gans import compose, losses
from lit_gans.mixins import FeatureMatching, PacGAN, Relativistic
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.mixins.twin import check_looked_ahead, check_twin

Matching = compose(DCGAN, FeatureMatching)


def mean_features(discriminator: Any, x: Tensor, layer: str | None) -> Tensor:
    """Of the last layer's input, or of the second convolution itself, which a leaky ReLU follows in place."""
    if layer == "stages.1.0":
        x = discriminator.stages[1][0](discriminator.stages[0](x))
    else:
        for stage in discriminator.stages:
            x = stage(x)
    n, _, height, width = x.shape
    return sum(x[i, :, a, b] for i in range(n) for a in range(height) for b in range(width)) / (n * height * width)


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("layer", [None, "stages.1.0"])
@pytest.mark.parametrize(("replace", "norm", "weight"), [(True, "l1", 1.0), (True, "l2", 30.0), (False, "l1", 3.0)])
def test_equals_a_plain_loop(replace: bool, norm: str, weight: float, layer: str | None, n_critic: int) -> None:
    def g_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        difference = mean_features(discriminator, real, layer) - mean_features(discriminator, fake, layer)
        term = weight * (difference.abs() if norm == "l1" else difference**2).sum() / len(difference)
        return term if replace else term + softplus(-discriminator(fake)).mean()

    options = {"fm_replace": replace, "fm_norm": norm, "fm_weight": weight, "fm_layer": layer}
    model = Matching(**TINY, **options, n_critic=n_critic, discriminator_norm="none" if layer else "batch").double()
    check_twin(model, n_critic, g_loss=g_loss)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_real_mean_is_no_constant_where_the_discriminator_looks_ahead(norm: str) -> None:
    check_looked_ahead(FeatureMatching, fm_norm=norm)


def test_the_term_is_logged_where_it_belongs() -> None:
    batch = {"image": torch.randn(8, 1, 16, 16), "fake": torch.randn(8, 1, 16, 16, requires_grad=True)}
    plain = DCGAN(**TINY).generator_objective(batch)
    replaced = Matching(**TINY).generator_objective(batch)
    added = Matching(**TINY, fm_replace=False, fm_weight=2.0).generator_objective(batch)
    assert float(replaced["penalty/generator"]) == 0
    torch.testing.assert_close(added["loss/generator"], plain["loss/generator"])
    torch.testing.assert_close(added["penalty/generator"], 2 * replaced["loss/generator"])


@pytest.mark.parametrize("order", [(FeatureMatching, PacGAN), (PacGAN, FeatureMatching)])
def test_features_of_packs_are_matched(order: tuple[type, ...]) -> None:
    model = compose(MLPGAN, *order)(latent_dim=4, sample_shape=[1, 16, 16], discriminator_hidden=[8])
    real, fake = torch.randn(2, 8, 1, 16, 16)
    features = [model.discriminator.hidden(x.flatten(1).view(4, -1)) for x in (real, fake)]
    torch.testing.assert_close(model.matching(real, fake, None), losses.feature_distance(*features))
    fit(model, images(16), max_epochs=1)


def test_a_layer_used_several_times_counts_the_first_time() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.output = nn.Linear(256, 256), nn.Linear(256, 1)

        def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
            return self.output(self.hidden(self.hidden(x.flatten(1)))).flatten()

    class Own(DCGAN):
        def build_discriminator(self) -> nn.Module:
            return Twice()

    model = compose(Own, FeatureMatching)(**TINY, fm_layer="hidden")
    real, fake = torch.randn(2, 8, 1, 16, 16)
    features = [model.discriminator.hidden(x.flatten(1)) for x in (real, fake)]
    torch.testing.assert_close(model.matching(real, fake, None), losses.feature_distance(*features))


def test_an_unknown_layer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no layer called 'stages\.9': set .* to one of stages\.0, stages\.0\.0, "):
        Matching(**TINY, fm_layer="stages.9")
    with pytest.raises(ValueError, match="no layer called 'stages':"):  # a list of layers has no output
        Matching(**TINY, fm_layer="stages")


def test_a_discriminator_without_a_last_layer_needs_the_name_of_one() -> None:
    class Own(DCGAN):
        def build_discriminator(self) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(256, 4), nn.Linear(4, 1))

    with pytest.raises(ValueError, match=r"no layer called 'output': .* one of 0, 1, 2, or leave it out"):
        compose(Own, FeatureMatching)(**TINY)
    assert compose(Own, FeatureMatching)(**TINY, fm_layer="1").fm_layer == "1"


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="fm_weight must be above 0, got 0"):
        Matching(**TINY, fm_weight=0)
    with pytest.raises(ValueError, match="fm_norm must be 'l1' or 'l2', got 'l3'"):
        Matching(**TINY, fm_norm="l3")
    with pytest.raises(ValueError, match="each have a generator_loss of their own: leave it out"):
        compose(DCGAN, FeatureMatching, Relativistic)
