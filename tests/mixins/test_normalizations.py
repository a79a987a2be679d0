"""Tricks that normalize: which networks, in whose place, what is refused; and SNGAN against a plain loop."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu
from torch.nn.utils.parametrize import is_parametrized

from lit_gans import compose
from lit_gans.layers.virtual_batch_norm import VirtualBatchNorm as Layer
from lit_gans.mixins import JointBatch, SpectralNorm, VirtualBatchNorm
from lit_gans.models import DCGAN, MLPGAN, SNGAN
from lit_gans.networks.sngan import cnn_discriminator, resnet_discriminator
from tests.conftest import TINY, fit, images

BATCH, BATCHES = 8, 5


@pytest.mark.parametrize(("in_d", "in_g"), [(True, False), (False, True), (True, True)])
def test_spectral_norm_takes_the_place_of_batch_norm(in_d: bool, in_g: bool) -> None:
    model = compose(DCGAN, SpectralNorm)(**TINY, spectral_norm_discriminator=in_d, spectral_norm_generator=in_g)
    for network, wanted in ((model.discriminator, in_d), (model.generator, in_g)):
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
        assert {is_parametrized(layer) for layer in layers} == {wanted}
        assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules()) is not wanted
        # Where batch norm is not, its shift must be.
        assert all((layer.bias is not None) is wanted for layer in layers[1:-1])


def test_the_vectors_move_in_turns_and_not_in_sampling(tmp_path: Any) -> None:
    model = compose(DCGAN, SpectralNorm)(**TINY, spectral_norm_generator=True)
    vectors = {name: buffer.clone() for name, buffer in model.named_buffers() if name.endswith("._u")}
    model.sample(4)
    assert all(torch.equal(buffer, model.get_buffer(name)) for name, buffer in vectors.items())
    fit(model, images(24), 8, max_epochs=1)
    still = {name for name, buffer in vectors.items() if torch.equal(buffer, model.get_buffer(name))}
    assert all(len(vectors[name]) == 1 for name in still)  # a single row has one direction
    assert len(still) < len(vectors)


@pytest.mark.parametrize(
    ("tricks", "options", "sentence"),
    [
        ([SpectralNorm], {"spectral_norm_discriminator": False}, "used on neither network"),
        ([SpectralNorm], {"spectral_norm_iterations": 0}, "spectral_norm_iterations must be at least 1"),
        ([SpectralNorm], {"discriminator_norm": "layer"}, r"layer norm would be two .* set model\.discriminator_norm"),
        ([VirtualBatchNorm], {"vbn_reference": 0}, "vbn_reference must be at least 1"),
        ([VirtualBatchNorm], {"generator_norm": "instance"}, r"two normalizations .* set model\.generator_norm=none"),
        (
            [SpectralNorm, VirtualBatchNorm],
            {"spectral_norm_generator": True},
            r"virtual norm would be two .* tricks\.virtual_batch_norm=null",
        ),
    ],
)
def test_refusals(tricks: list[type], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose(DCGAN, *tricks)(**TINY, **options)


def test_virtual_batch_norm_takes_the_place_of_the_generators() -> None:
    model = compose(DCGAN, VirtualBatchNorm)(**TINY, vbn_reference=6, num_classes=10)
    kinds = [type(module) for module in model.generator.modules() if isinstance(module, nn.BatchNorm2d | Layer)]
    assert kinds == [Layer, Layer]
    assert model.generator.latent.shape == (6, TINY["latent_dim"])
    assert model.generator.condition.tolist() == [0, 1, 2, 3, 4, 5]
    latent, label = model.sample_latent(3), torch.tensor([1, 4, 9])
    alone = model.sample(1, latent=latent[1:2], label=4)
    torch.testing.assert_close(model.sample(3, latent=latent, label=label)[1:2], alone, rtol=1e-5, atol=1e-6)
    before = model.generator.latent.clone()
    fit(model, images(16), 8, max_epochs=1)
    assert torch.equal(model.generator.latent, before)
    again = compose(DCGAN, VirtualBatchNorm)(**TINY, vbn_reference=6, num_classes=10)
    assert torch.equal(again.generator.latent, before)


def test_one_pass_has_the_statistics_of_both_kinds() -> None:
    torch.manual_seed(0)
    joint, plain = compose(DCGAN, JointBatch)(**TINY).double(), DCGAN(**TINY).double()
    real, fake = (torch.randn(5, 1, 16, 16, dtype=torch.double) + shift for shift in (0, 2))
    logits = torch.cat(joint.discriminator_logits(real, fake, None))
    torch.testing.assert_close(logits, plain.discriminate(torch.cat([real, fake])), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(logits, torch.cat(plain.discriminator_logits(real, fake, None)), atol=1e-3)
    bare = compose(MLPGAN, JointBatch)(sample_shape=[1, 16, 16]).double()
    separate = torch.cat([bare.discriminate(real), bare.discriminate(fake)])
    torch.testing.assert_close(torch.cat(bare.discriminator_logits(real, fake, None)), separate, rtol=1e-9, atol=1e-10)


def test_one_pass_has_each_samples_own_condition() -> None:
    model = compose(DCGAN, JointBatch)(**TINY, discriminator_norm="none", num_classes=10)
    real, fake, label = torch.randn(3, 1, 16, 16), torch.randn(3, 1, 16, 16), torch.tensor([0, 5, 9])
    found = model.discriminator_logits(real, fake, label)
    for logits, x in zip(found, (real, fake), strict=True):
        torch.testing.assert_close(logits, model.discriminate(x, label), rtol=1e-4, atol=1e-6)


def plain_sngan(model: SNGAN) -> tuple[nn.Module, list[Tensor]]:
    """Hinge losses, a discriminator whose weights are divided by u'Wv after a step of power iteration in each pass."""
    generator = copy.deepcopy(model.generator)
    make = {"cnn": cnn_discriminator, "resnet": resnet_discriminator}[model.network]
    discriminator = make(16, 1, TINY["width"], "none", model.num_classes).double()
    names = [name for name, module in discriminator.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    normalized = [model.discriminator.get_submodule(name).parametrizations.weight for name in names]
    raw = [found.original.detach().clone().requires_grad_() for found in normalized]
    vectors = [[found[0]._u.clone(), found[0]._v.clone()] for found in normalized]
    own = dict(model.discriminator.named_parameters())
    biases = [parameter for name, parameter in discriminator.named_parameters() if name.endswith("bias")]
    for name, parameter in discriminator.named_parameters():
        if name.endswith("bias"):
            parameter.data.copy_(own[name])

    def judge(x: Tensor, label: Tensor | None) -> Tensor:
        weights = {}
        for i, (name, weight) in enumerate(zip(names, raw, strict=True)):
            matrix = weight.flatten(1)
            u, v = vectors[i]
            with torch.no_grad():
                u = normalize(matrix @ v, dim=0, eps=1e-12)
                v = normalize(matrix.T @ u, dim=0, eps=1e-12)
            vectors[i] = [u, v]
            weights[f"{name}.weight"] = weight / (u @ matrix @ v)
        return torch.func.functional_call(discriminator, weights, (x, label))

    options = {"lr": 2e-4, "betas": (0.5, 0.999)}
    optimizer_g = torch.optim.Adam(generator.parameters(), **options)
    optimizer_d = torch.optim.Adam([*raw, *biases], **options)
    for i in range(BATCHES):
        batch = images(BATCH * BATCHES)[BATCH * i : BATCH * (i + 1)]
        real = torch.stack([item["image"] for item in batch]).double() / 127.5 - 1
        label = torch.stack([item["label"] for item in batch]) if model.num_classes else None
        torch.manual_seed(model.key("shared", i, 0))
        fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double), label)
        optimizer_d.zero_grad()
        (relu(1 - judge(real, label)).mean() + relu(1 + judge(fake.detach(), label)).mean()).backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        (-judge(fake, label).mean()).backward()
        optimizer_g.step()
    return generator, raw


@pytest.mark.parametrize("num_classes", [0, 10])
@pytest.mark.parametrize("network", ["cnn", "resnet"])
def test_sngan_equals_a_plain_loop(network: str, num_classes: int) -> None:
    options = {"generator_optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}}
    options["discriminator_optimizer"] = options["generator_optimizer"]
    model = SNGAN(**TINY, **options, network=network, num_classes=num_classes).double()
    start = copy.deepcopy(model.generator)
    generator, raw = plain_sngan(model)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs, before in zip(*(g.parameters() for g in (model.generator, generator, start)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-10)
        assert ours.dim() == 1 or (ours - before).abs().max() > 1e-5  # a shift before batch norm does not count
    layers = [module for module in model.discriminator.modules() if is_parametrized(module)]
    for layer, theirs in zip(layers, raw, strict=True):
        torch.testing.assert_close(layer.parametrizations.weight.original, theirs, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("network", ["cnn", "resnet"])
@pytest.mark.parametrize("num_classes", [0, 10])
@pytest.mark.parametrize("n", [1, 3])
def test_both_networks_train_and_sample(network: str, num_classes: int, n: int) -> None:
    model = SNGAN(**TINY, network=network, num_classes=num_classes)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    fit(model, images(16), 8, max_epochs=1)
    still = {name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])}
    # Within the hinge's margin the logits' common shift feels as much of the real samples as of the fakes.
    assert still <= {"discriminator.output.bias"}
    samples = model.sample(n)
    assert samples.shape == (n, 1, 16, 16)
    assert samples.abs().max() <= 1
    with pytest.raises(ValueError, match=r"no network called 'vgg'\. Possible: cnn, resnet"):
        SNGAN(**TINY, network="vgg")
