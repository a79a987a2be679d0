"""One pass for real samples and fakes: the training step against a plain loop, running statistics, and other tricks."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lit_gans import compose
from lit_gans.mixins import JointBatch, MinibatchDiscrimination, PacGAN
from lit_gans.models import DCGAN, SNGAN, WGANGP
from tests.conftest import TINY, fit, images
from tests.models.test_twins import BATCH, BATCHES, bce, ns_g, plain_loop


def joint_d(discriminator: Any, real: Tensor, fake: Tensor) -> Tensor:
    targets = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)]).double()
    return 2 * bce(discriminator(torch.cat([real, fake])), targets)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_equals_a_plain_loop(n_critic: int) -> None:
    model = compose(DCGAN, JointBatch)(**TINY, n_critic=n_critic).double()
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    generator, discriminator = plain_loop(model, n_critic, joint_d, ns_g, adam)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in ((model.generator, generator), (model.discriminator, discriminator)):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_running_statistics_are_of_both_kinds_together(n: int) -> None:
    torch.manual_seed(0)
    model = compose(DCGAN, JointBatch)(**TINY).double()
    real, fake = (torch.randn(n, 1, 16, 16).double() + shift for shift in (0, 2))
    first, second = model.discriminator.stages
    hidden = second[0](first(torch.cat([real, fake])))
    model.discriminator_logits(real, fake, None)
    assert second[1].num_batches_tracked == 1
    torch.testing.assert_close(second[1].running_mean, 0.1 * hidden.mean((0, 2, 3)))
    torch.testing.assert_close(second[1].running_var, 0.9 + 0.1 * hidden.var((0, 2, 3)))


def test_the_generators_turn_is_left_as_it_is() -> None:
    torch.manual_seed(0)
    joint, plain = compose(DCGAN, JointBatch)(**TINY).double(), DCGAN(**TINY).double()
    fake = torch.randn(3, 1, 16, 16).double()
    assert torch.equal(joint.generator_logits(fake, None), plain.generator_logits(fake, None))


def test_one_pass_is_one_step_of_spectral_norm() -> None:
    passes = []

    class Counted(SNGAN):
        def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
            passes.append(len(x))
            return super().discriminate(x, condition)

    fit(compose(Counted, JointBatch)(**TINY), images(8), max_epochs=1)
    assert passes == [16, 8]


@pytest.mark.parametrize("model", [WGANGP, SNGAN])
def test_without_batch_statistics_the_logits_are_those_of_two_passes(model: type) -> None:
    torch.manual_seed(0)
    joint, plain = compose(model, JointBatch)(**TINY).double().eval(), model(**TINY).double().eval()
    real, fake = torch.randn(2, 3, 1, 16, 16).double()
    for ours, theirs in zip(
        joint.discriminator_logits(real, fake, None), plain.discriminator_logits(real, fake, None), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(*joint.discriminator_logits(real, fake, None), atol=1e-6)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (MinibatchDiscrimination, r"minibatch discrimination compares .*tricks\.joint_batch=null"),
        (PacGAN, r"the packing of pacgan compares .* one source: tricks\.joint_batch=null"),
    ],
)
def test_samples_of_two_sources_are_not_compared(other: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose(DCGAN, JointBatch, other)(**TINY)
