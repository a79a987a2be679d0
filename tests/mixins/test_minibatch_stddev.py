"""The minibatch standard deviation in the game: against a plain loop, within groups, refused with penalties."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lit_gans import compose
from lit_gans.mixins import MinibatchStddev, R1Penalty
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY
from tests.mixins.twin import check_twin


def logits(discriminator: Any, x: Tensor, group: int) -> Tensor:
    for stage in discriminator.stages:
        x = stage(x)
    x = x.flatten(1)
    deviations = []
    for i in range(len(x)):
        own = x[i // group * group : i // group * group + group]
        variance = sum((sample - sum(own) / len(own)) ** 2 for sample in own) / len(own)
        deviations.append((variance + 1e-8).sqrt().sum() / x.shape[1])
    joined = torch.cat([x, torch.stack(deviations)[:, None]], 1)
    return joined @ torch.cat([discriminator.output.output.weight.flatten(), discriminator.output.linear.weight[0]])


@pytest.mark.parametrize(("given", "group"), [(None, 8), (3, 3)])
@pytest.mark.parametrize("n_critic", [1, 2])
def test_equals_a_plain_loop(given: int | None, group: int, n_critic: int) -> None:
    def d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        real_logits, fake_logits = (logits(discriminator, x, group) for x in (real, fake))
        return softplus(-real_logits).mean() + softplus(fake_logits).mean()

    def g_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-logits(discriminator, fake, group)).mean()

    model = compose(DCGAN, MinibatchStddev)(**TINY, n_critic=n_critic, mbstd_group=given).double()
    check_twin(model, n_critic, d_loss, g_loss)


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="mbstd_group must be at least 2, or null for the whole batch, got 1"):
        compose(MLPGAN, MinibatchStddev)(mbstd_group=1)
    with pytest.raises(ValueError, match=r"minibatch standard deviation .* tricks\.minibatch_stddev=null"):
        compose(MLPGAN, MinibatchStddev, R1Penalty)()
