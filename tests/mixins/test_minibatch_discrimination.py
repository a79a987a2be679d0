"""Minibatch discrimination in the game: against a plain loop, calibrated once, kept in checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import lit_gans
from lit_gans import GAN, compose
from lit_gans.mixins import GradientPenalty, MinibatchDiscrimination, MinibatchStddev, R1Penalty
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.mixins.twin import BATCH, check_twin, reals

Discriminating = compose(DCGAN, MinibatchDiscrimination)
FEW = {"mbd_kernels": 4, "mbd_dims": 3}


def rows(layer: Any, x: Tensor) -> list[Tensor]:
    """M_i: ``(B, C)`` for each sample."""
    result = []
    for features in x:
        parts = [
            [layer.direction[:, b, c] @ features / layer.direction[:, b, c].norm() * layer.log_scale[b, c].exp()
             for c in range(3)]
            for b in range(4)
        ]  # fmt: skip
        result.append(torch.stack([torch.stack(part) for part in parts]))
    return result


def close(layer: Any, x: Tensor) -> Tensor:
    """o: ``(N, B)``, neighbour by neighbour."""
    m = rows(layer, x)
    return torch.stack(
        [sum(torch.exp(-(m[i] - m[j]).abs().sum(1)) for j in range(len(x)) if j != i) for i in range(len(x))]
    )


def hidden(discriminator: Any, x: Tensor) -> Tensor:
    for stage in discriminator.stages:
        x = stage(x)
    return x


def logits(discriminator: Any, x: Tensor) -> Tensor:
    """Of the map and its side features in one: what a convolution over both would give."""
    side, x = discriminator.output, hidden(discriminator, x)
    joined = torch.cat([x.flatten(1), close(side.features, x.flatten(1)) + side.features.bias], 1)
    return joined @ torch.cat([side.output.weight.flatten(), side.linear.weight[0]])


def d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-logits(discriminator, real)).mean() + softplus(logits(discriminator, fake)).mean()


def g_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-logits(discriminator, fake)).mean()


def start(discriminator: Any) -> None:
    """The data-dependent initialisation, on the first real samples."""
    layer = discriminator.output.features
    with torch.no_grad():
        x = hidden(discriminator, reals()[0]).flatten(1)
        m = rows(layer, x)
        for b in range(4):
            nearest = [min((m[i][b] - m[j][b]).abs().sum() for j in range(BATCH) if j != i) for i in range(BATCH)]
            layer.log_scale[b] -= torch.log(0.5 * sum(nearest) / BATCH)
        layer.bias.copy_(-close(layer, x).mean(0))


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_equals_a_plain_loop(norm: str, n_critic: int) -> None:
    model = Discriminating(**TINY, **FEW, n_critic=n_critic, discriminator_norm=norm).double()
    check_twin(model, n_critic, d_loss, g_loss, start)


def calibrated(model: GAN) -> tuple[bool, Tensor]:
    layer: Any = model.get_submodule("discriminator.output.features")
    return bool(layer.calibrated), layer.log_scale.detach().clone()


def test_it_is_calibrated_by_the_first_real_samples_alone() -> None:
    """Whatever the learning rate is, the scales after a batch are those of its real samples, not of the second."""
    rate = {"name": "sgd", "lr": 1e-30}
    frozen = {"generator_optimizer": rate, "discriminator_optimizer": rate, "discriminator_norm": "none"}
    scales = {}
    for batches in (1, 2):
        model = Discriminating(**TINY, **FEW, **frozen).double()
        assert not calibrated(model)[0]
        twin = Discriminating(**TINY, **FEW, **frozen).double()
        start(twin.discriminator)
        fit(model, images(8 * batches), max_epochs=1, precision="64-true")
        done, scales[batches] = calibrated(model)
        assert done
        torch.testing.assert_close(scales[batches], calibrated(twin)[1], rtol=1e-7, atol=1e-10)


def test_in_parts_it_is_calibrated_by_the_first_part() -> None:
    """So that there are as many neighbours as in the turns."""
    rate = {"name": "sgd", "lr": 1e-30}
    frozen = {"generator_optimizer": rate, "discriminator_optimizer": rate, "discriminator_norm": "none"}
    found = []
    for accumulate, n in ((2, 8), (1, 4)):
        model = Discriminating(**TINY, **FEW, **frozen, accumulate=accumulate)
        fit(model, images(8)[:n], n, max_epochs=1)
        found.append(calibrated(model)[1])
    torch.testing.assert_close(*found)


def test_a_checkpoint_holds_what_was_calibrated(tmp_path: Path) -> None:
    model = Discriminating(**TINY, **FEW)
    fit(model, images(8), max_epochs=1).save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    loaded = lit_gans.load(tmp_path / "a.ckpt")
    assert calibrated(loaded)[0]
    assert torch.equal(calibrated(loaded)[1], calibrated(model)[1])
    for parameter in loaded.get_submodule("discriminator.output.features").parameters():
        parameter.data.zero_().add_(1.0)
    loaded.calibrate({"image": torch.zeros(8, 1, 16, 16)})  # a new run with old weights takes them as they are
    assert torch.equal(calibrated(loaded)[1], torch.ones(4, 3))


def test_a_condition_joins_as_well() -> None:
    model = Discriminating(**TINY, **FEW, num_classes=10)
    fit(model, images(8), max_epochs=1)
    assert calibrated(model)[0]
    side: Any = model.discriminator.output
    assert side.features.direction.shape[0] == side.output.weight.numel()


@pytest.mark.parametrize("step", [1, -1])
def test_both_minibatch_tricks_together_in_either_order(step: int) -> None:
    order = (MinibatchDiscrimination, MinibatchStddev)[::step]
    model = compose(MLPGAN, *order)(latent_dim=4, sample_shape=[1, 16, 16], discriminator_hidden=[8], **FEW)
    fit(model, images(16), max_epochs=1)
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def test_real_samples_and_fakes_are_not_compared() -> None:
    """The logits of real samples do not depend on the fakes."""
    model = Discriminating(**TINY, **FEW, discriminator_norm="none")
    real, *fakes = torch.randn(3, 8, 1, 16, 16)
    first, second = (model.discriminator_logits(real, fake, None) for fake in fakes)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


@pytest.mark.parametrize("penalty", [R1Penalty, GradientPenalty])
def test_penalties_of_single_samples_are_refused(penalty: type[GAN]) -> None:
    for order in ((penalty, MinibatchDiscrimination), (MinibatchDiscrimination, penalty)):
        with pytest.raises(ValueError, match=r"minibatch discrimination .* tricks\.minibatch_discrimination=null"):
            compose(MLPGAN, *order)()


@pytest.mark.parametrize("name", ["mbd_kernels", "mbd_dims"])
def test_options_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Discriminating(**TINY, **{name: 0})
