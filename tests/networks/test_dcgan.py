"""DCGAN's networks against the well-known PyTorch form, layer by layer and number by number."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lit_gans.networks.dcgan import DCGANDiscriminator, DCGANGenerator, stage_widths
from lit_gans.networks.normalization import NORMALIZATIONS, normalization


def generator(image_size=64, *, latent_dim=100, image_channels=3, width=64, norm="batch", num_classes=0):
    torch.manual_seed(0)
    return DCGANGenerator(latent_dim, image_size, image_channels, width, norm, num_classes)


def discriminator(image_size=64, *, image_channels=3, width=64, norm="batch", num_classes=0):
    torch.manual_seed(1)
    return DCGANDiscriminator(image_size, image_channels, width, norm, num_classes)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def numbers(network):
    return sum(parameter.numel() for parameter in network.parameters())


# The form that everyone reproduces


def reference_generator(widths, latent_dim=100, image_channels=3):
    layers, before = [], latent_dim
    for width, (stride, padding) in zip(widths, [(1, 0)] + [(2, 1)] * (len(widths) - 1), strict=True):
        layers += [nn.ConvTranspose2d(before, width, 4, stride, padding, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.ConvTranspose2d(before, image_channels, 4, 2, 1, bias=False), nn.Tanh())


def reference_discriminator(widths, image_channels=3):
    layers = [nn.Conv2d(image_channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Flatten(0))


SIZES = {16: [512, 256], 32: [512, 256, 128], 64: [512, 256, 128, 64], 128: [1024, 512, 256, 128, 64]}


def copy_weights(source, target):
    """In the order of definition; shapes must agree one by one."""
    ours, theirs = list(source.state_dict().values()), list(target.state_dict().values())
    assert [value.shape for value in ours] == [value.shape for value in theirs]
    target.load_state_dict(dict(zip(target.state_dict(), ours, strict=True)))
    return target


@pytest.mark.parametrize("image_size", [32, 64])
def test_generator_is_the_reference(image_size):
    ours = generator(image_size)
    plain = copy_weights(ours, reference_generator(SIZES[image_size]))
    latent = noise(3, 100)
    torch.testing.assert_close(ours(latent), plain(latent[:, :, None, None]), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(ours.eval()(latent), plain.eval()(latent[:, :, None, None]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("image_size", [32, 64])
def test_discriminator_is_the_reference(image_size):
    ours = discriminator(image_size)
    plain = copy_weights(ours, reference_discriminator(SIZES[image_size][::-1]))
    images = noise(3, 3, image_size, image_size).tanh()
    torch.testing.assert_close(ours(images), plain(images), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.eval()(images), plain.eval()(images), rtol=1e-5, atol=1e-6)


def test_layers_at_64_pixels():
    def described(network):
        layers = convolutions(network)
        return [(c.in_channels, c.out_channels, *c.kernel_size, *c.stride, *c.padding, c.bias) for c in layers]

    four, stride = (4, 4), (2, 2, 1, 1, None)
    assert described(generator()) == [
        (100, 512, *four, 1, 1, 0, 0, None),
        (512, 256, *four, *stride),
        (256, 128, *four, *stride),
        (128, 64, *four, *stride),
        (64, 3, *four, *stride),
    ]
    assert described(discriminator()) == [
        (3, 64, *four, *stride),
        (64, 128, *four, *stride),
        (128, 256, *four, *stride),
        (256, 512, *four, *stride),
        (512, 1, *four, 1, 1, 0, 0, None),
    ]
    assert [norm.num_features for norm in generator().modules() if isinstance(norm, nn.BatchNorm2d)] == SIZES[64]
    assert [norm.num_features for norm in discriminator().modules() if isinstance(norm, nn.BatchNorm2d)] == [
        128,
        256,
        512,
    ]
    assert {m.negative_slope for m in discriminator().modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_numbers_of_parameters():
    """Kernels of 16 numbers, no biases, a gain and a bias for each normalised channel."""
    kernels = 100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3
    assert numbers(generator()) == 16 * kernels + 2 * (512 + 256 + 128 + 64) == 3_576_704
    kernels = 3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512
    assert numbers(discriminator()) == 16 * kernels + 2 * (128 + 256 + 512) == 2_765_568


# Sizes


@pytest.mark.parametrize("image_channels", [1, 3])
@pytest.mark.parametrize("image_size", SIZES)
def test_widths_shapes_and_ranges(image_size, image_channels):
    assert stage_widths(image_size, 64) == SIZES[image_size]
    makes = generator(image_size, image_channels=image_channels, width=8, latent_dim=7)
    judges = discriminator(image_size, image_channels=image_channels, width=8)
    for n in (1, 3):
        images = makes(5 * noise(n, 7))
        assert images.shape == (n, image_channels, image_size, image_size)
        assert images.abs().max() <= 1
        assert images.std() > 0.01
        logits = judges(images)
        assert logits.shape == (n,)
        assert logits.isfinite().all()


def test_logits_are_raw():
    """Not squashed: they grow with the weights of the last layer."""
    judges, images = discriminator(16, width=4), noise(8, 3, 16, 16)
    small = judges(images).detach()
    with torch.no_grad():
        judges.output.weight *= 1000
    torch.testing.assert_close(judges(images), 1000 * small, rtol=1e-4, atol=1e-3)
    assert (small < 0).any()
    assert judges(images).abs().max() > 1


# Initial weights


@pytest.mark.parametrize("make", [generator, discriminator])
def test_initial_weights(make):
    """N(0, 0.02^2) in every convolution, gains N(1, 0.02^2), biases 0; bounds of five standard errors."""
    network = make()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            weight, count = module.weight.double(), module.weight.numel()
            assert weight.mean().item() == pytest.approx(0, abs=5 * 0.02 / count**0.5)
            assert weight.std().item() == pytest.approx(0.02, rel=5 / (2 * count) ** 0.5)
        elif isinstance(module, nn.BatchNorm2d):
            gain, count = module.weight.double(), module.weight.numel()
            assert gain.mean().item() == pytest.approx(1, abs=5 * 0.02 / count**0.5)
            assert gain.std().item() == pytest.approx(0.02, rel=5 / (2 * count) ** 0.5)
            assert module.bias.tolist() == [0.0] * count


@pytest.mark.parametrize("norm", ["instance", "layer"])
def test_initial_gains_of_other_normalizations(norm):
    gains = torch.cat([p for name, p in generator(norm=norm).named_parameters() if p.dim() == 1 and "weight" in name])
    assert len(gains) == 512 + 256 + 128 + 64
    assert gains.mean().item() == pytest.approx(1, abs=0.005)
    assert gains.std().item() == pytest.approx(0.02, rel=0.2)


# Labels


def class_weights(convolution, num_classes):
    """The part of a kernel that sees the planes of the classes: the last input channels."""
    axis = 0 if isinstance(convolution, nn.ConvTranspose2d) else 1
    return convolution.weight.grad.movedim(axis, 0)[-num_classes:].flatten(1).abs().sum(1)


@pytest.mark.parametrize("image_size", SIZES)
def test_labels_join_every_layer(image_size):
    makes = generator(image_size, width=4, latent_dim=7, num_classes=5)
    judges = discriminator(image_size, width=4, num_classes=5)
    label = torch.tensor([0, 3, 3])
    images = makes(noise(3, 7), label)
    judges(images, label).square().sum().backward()
    layers = convolutions(makes) + convolutions(judges)
    assert len(layers) == 2 * (len(SIZES[image_size]) + 1)
    for layer in layers:
        felt = class_weights(layer, 5)
        assert (felt[[0, 3]] > 0).all()
        assert felt[[1, 2, 4]].tolist() == [0.0] * 3


def test_another_label_is_another_sample_and_another_judgement():
    makes = generator(16, width=4, latent_dim=7, num_classes=5).eval()
    judges = discriminator(16, width=4, num_classes=5).eval()
    latent = noise(1, 7).expand(5, -1)
    images = makes(latent, torch.arange(5))
    logits = judges(images[:1].expand(5, -1, -1, -1), torch.arange(5))
    assert torch.pdist(images.flatten(1)).min() > 1e-4
    assert torch.pdist(logits[:, None]).min() > 1e-9
    assert torch.equal(makes(latent, torch.tensor([2] * 5))[0], makes(latent, torch.tensor([2] * 5))[4])


def test_labels_follow_their_samples():
    """Normalization per sample: any order of the batch gives the same images and logits in that order."""
    makes = generator(16, width=4, latent_dim=7, norm="layer", num_classes=3)
    judges = discriminator(16, width=4, norm="layer", num_classes=3)
    latent, label, order = noise(3, 7), torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0])
    images = makes(latent, label)
    torch.testing.assert_close(makes(latent[order], label[order]), images[order], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(judges(images[order], label[order]), judges(images, label)[order], rtol=1e-4, atol=1e-6)


def test_labels_under_autocast():
    makes = generator(16, width=4, latent_dim=7, num_classes=3)
    with torch.autocast("cpu", torch.bfloat16):
        assert makes(noise(3, 7), torch.tensor([2, 0, 1])).dtype == torch.bfloat16


# Normalization


@pytest.mark.parametrize("norm", NORMALIZATIONS)
def test_only_batch_norm_mixes_samples(norm):
    """As a gradient penalty on each sample alone needs it."""
    judges, images = discriminator(16, width=4, norm=norm).double(), noise(4, 3, 16, 16).double().requires_grad_()
    (gradient,) = torch.autograd.grad(judges(images)[0], images)
    others = gradient[1:].abs().max().item()
    assert others > 1e-9 if norm == "batch" else others == 0


@pytest.mark.parametrize("make", [generator, discriminator])
def test_biases_where_no_normalization_has_one(make):
    for norm in NORMALIZATIONS:
        *hidden, output = convolutions(make(16, width=4, norm=norm))
        assert all((layer.bias is None) == (norm != "none") for layer in hidden)
        assert output.bias is None


@pytest.mark.parametrize("norm", ["batch", "instance", "layer"])
def test_normalized_over_the_right_axes(norm):
    axes = {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1, 2, 3)}[norm]
    x = 3 + 2 * noise(4, 6, 5, 5)
    expected = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(normalization(norm, 6)(x), expected, rtol=1e-4, atol=1e-5)


# Bad arguments


@pytest.mark.parametrize("make", [generator, discriminator])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 48}, "DCGAN makes images of 16, 32, 64, 128 pixels, not 48"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"image_channels": 0}, "image_channels must be at least 1, got 0"),
        ({"num_classes": -1}, "num_classes must be at least 0, got -1"),
        ({"norm": "bath"}, "no normalization called 'bath'. Possible: batch, instance, layer, group, none"),
    ],
)
def test_bad_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_a_conditional_network_asks_for_labels():
    message = r"This network is conditional: give each sample a label in \[0, 5\)"
    with pytest.raises(ValueError, match=message):
        generator(16, width=4, num_classes=5)(noise(3, 100))
    with pytest.raises(ValueError, match=message):
        discriminator(16, width=4, num_classes=5)(noise(3, 3, 16, 16))
