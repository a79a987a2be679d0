"""Packs of samples in the game: against a plain loop, what is packed when, what is refused before training."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lit_gans import GAN, compose
from lit_gans.data import Digits
from lit_gans.mixins import JointBatch, MinibatchDiscrimination, PacGAN, R1Penalty
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images, trainer
from tests.mixins.twin import check_twin

Packed = compose(DCGAN, PacGAN)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("n_critic", [1, 2])
def test_equals_a_plain_loop(m: int, n_critic: int) -> None:
    def logits(discriminator: nn.Module, x: Tensor) -> Tensor:
        packs = [torch.cat([*x[i : i + m]]) for i in range(0, len(x) - m + 1, m)]
        return discriminator(torch.stack(packs))

    def d_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-logits(discriminator, real)).mean() + softplus(logits(discriminator, fake)).mean()

    def g_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-logits(discriminator, fake)).mean()

    check_twin(Packed(**TINY, pac_samples=m, n_critic=n_critic).double(), n_critic, d_loss, g_loss)


def test_what_the_discriminator_is_built_for() -> None:
    image, plane = Packed(**TINY, pac_samples=4), compose(MLPGAN, PacGAN)(pac_samples=3)
    assert image.discriminator_shape == (4, 16, 16)
    assert image.sample_shape == (1, 16, 16)
    assert plane.discriminator_shape == (6,)
    assert image.discriminate(torch.randn(9, 1, 16, 16)).shape == (2,)
    assert plane.discriminate(torch.randn(9, 2)).shape == (3,)
    assert image.sample(3).shape == (3, 1, 16, 16)


@pytest.mark.parametrize("outside", [True, False])
def test_samples_are_prepared_one_by_one_before_they_are_packed(outside: bool) -> None:
    class Spy(GAN):
        def __init__(self, **rest: Any) -> None:
            super().__init__(**rest)

        def discriminator_input(self, x: Tensor) -> Tensor:
            seen.append(x.shape)
            return super().discriminator_input(x)

    seen: list[torch.Size] = []
    tricks = (Spy, PacGAN) if outside else (PacGAN, Spy)
    fit(compose(DCGAN, *tricks)(**TINY), images(8), max_epochs=1)
    assert seen == [(8, 1, 16, 16)] * 3


def test_stand_ins_see_packs_too() -> None:
    model = Packed(**TINY)
    weights = {name: torch.zeros_like(p) for name, p in model.discriminator.named_parameters()}
    with model.standing_in(discriminator=weights):
        assert torch.equal(model.discriminate(torch.randn(6, 1, 16, 16)), torch.zeros(3))


@pytest.mark.parametrize("order", [(PacGAN, MinibatchDiscrimination), (MinibatchDiscrimination, PacGAN)])
def test_packs_may_be_compared(order: tuple[type[GAN], ...]) -> None:
    model = compose(DCGAN, *order)(**TINY, mbd_kernels=4)
    fit(model, images(16), max_epochs=1)
    assert bool(model.discriminator.output.features.calibrated)


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match=r"condition of its own: set model\.num_classes=0, or leave it out"):
        Packed(**TINY, num_classes=10)
    with pytest.raises(ValueError, match=r"the packing of pacgan .* tricks\.pacgan=null"):
        compose(DCGAN, PacGAN, R1Penalty)(**TINY, discriminator_norm="none")
    with pytest.raises(ValueError, match=r"tricks\.joint_batch=null"):
        compose(DCGAN, PacGAN, JointBatch)(**TINY)
    with pytest.raises(ValueError, match="pac_samples must be at least 2, got 1"):
        Packed(**TINY, pac_samples=1)


@pytest.mark.parametrize(
    ("m", "accumulate", "fits"), [(8, 1, True), (9, 1, False), (4, 2, True), (5, 2, False), (3, 3, False)]
)
def test_a_batch_smaller_than_a_pack_is_refused_before_training(m: int, accumulate: int, fits: bool) -> None:
    """Batches of 8, in parts of 8, of 4 and 4, or of 3, 3 and 2."""
    model, runner = Packed(**TINY, pac_samples=m, accumulate=accumulate), trainer(max_steps=1)
    data = Digits(batch_size=8, image_size=16)
    if fits:
        runner.fit(model, datamodule=data)
        assert model.batches_seen == 1
    else:
        with pytest.raises(ValueError, match=rf"{m} samples at once .* data\.batch_size"):
            runner.fit(model, datamodule=data)
        assert not hasattr(runner.optimizers, "__len__") or not runner.optimizers


def test_a_batch_smaller_than_a_pack_is_refused_in_training_at_the_latest() -> None:
    with pytest.raises(ValueError, match="4 samples at once and was given 3"):
        fit(Packed(**TINY, pac_samples=4), images(3), 3, max_epochs=1)
