"""What couples the samples of a batch is found, and named with its remedy."""

import pytest
import torch
from torch import nn

from lit_gans import compose
from lit_gans.layers.coupling import check_samples_apart, coupling
from lit_gans.mixins import GradientPenalty, R1Penalty
from lit_gans.models import DCGAN, MLPGAN
from lit_gans.networks.normalization import NORMALIZATIONS, normalization
from tests.conftest import TINY


@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_only_what_couples_samples_is_said_to(name: str, spatial: bool) -> None:
    if name == "instance" and not spatial:
        with pytest.raises(ValueError, match=r"'instance'\. Possible: batch, layer, group, none"):
            normalization(name, 32, spatial=False)
        return
    layer = normalization(name, 32, spatial=spatial).double()
    x = torch.randn(3, 32, *([4, 4] if spatial else []), dtype=torch.double, requires_grad=True)
    weights = torch.randn_like(x[0])
    (gradient,) = torch.autograd.grad((layer(x)[0] * weights).sum(), x)
    assert bool(gradient[1:].abs().max() > 1e-9) is (coupling(layer) is not None)
    assert gradient[0].abs().max() > 1e-9


def test_a_layer_of_ones_own_can_say_it() -> None:
    class Own(nn.Module):
        couples_samples = ("my layer", "use model=other")

    with pytest.raises(ValueError, match=r"r1 penalises .* but my layer in .*: use model=other, or leave r1 out"):
        check_samples_apart(nn.Sequential(nn.ReLU(), Own()), "r1")
    check_samples_apart(nn.Sequential(nn.ReLU()), "r1")


@pytest.mark.parametrize("trick", [R1Penalty, GradientPenalty])
def test_a_penalty_of_each_sample_refuses_batch_norm(trick: type) -> None:
    with pytest.raises(ValueError, match=r"batch norm in the discriminator .* model\.discriminator_norm=none"):
        compose(DCGAN, trick)(**TINY)
    with pytest.raises(ValueError, match="batch norm in the discriminator"):
        compose(MLPGAN, trick)(latent_dim=4, discriminator_norm="batch")
    compose(MLPGAN, trick)(latent_dim=4)
