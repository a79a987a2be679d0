"""SNGAN's networks against the tables of the paper, layer by layer and number by number."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, relu

from lit_gans.layers.class_norm import ClassNorm
from lit_gans.networks.normalization import NORMALIZATIONS
from lit_gans.networks.resnet import ResidualBlock, glorot
from lit_gans.networks.sngan import CNNGenerator, ResNetGenerator, class_norm, cnn_discriminator, resnet_discriminator

PAIRS = {"cnn": (CNNGenerator, cnn_discriminator), "resnet": (ResNetGenerator, resnet_discriminator)}


def generator(kind, image_size=32, *, latent_dim=128, image_channels=3, width=64, norm="batch", num_classes=0):
    torch.manual_seed(0)
    return PAIRS[kind][0](latent_dim, image_size, image_channels, width, norm, num_classes)


def discriminator(kind, image_size=32, *, image_channels=3, width=64, norm="none", num_classes=0):
    torch.manual_seed(1)
    return PAIRS[kind][1](image_size, image_channels, width, norm, num_classes)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def numbers(network):
    return sum(parameter.numel() for parameter in network.parameters())


def copied(source, target):
    """In the order of definition; shapes must agree one by one."""
    ours, names = list(source.parameters()), [name for name, _ in target.named_parameters()]
    assert [value.shape for value in ours] == [value.shape for value in target.parameters()]
    target.load_state_dict(dict(zip(names, ours, strict=True)), strict=False)
    return target


# Table 3


@pytest.mark.parametrize("side", [4, 6])
def test_discriminator_of_table_3(side):
    layers = []
    for before, after, kernel, stride in [
        (3, 64, 3, 1),
        (64, 64, 4, 2),
        (64, 128, 3, 1),
        (128, 128, 4, 2),
        (128, 256, 3, 1),
        (256, 256, 4, 2),
        (256, 512, 3, 1),
    ]:
        layers += [nn.Conv2d(before, after, kernel, stride, 1), nn.LeakyReLU(0.1)]
    table = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * side**2, 1), nn.Flatten(0))
    ours = discriminator("cnn", 8 * side)
    images = noise(2, 3, 8 * side, 8 * side).tanh()
    torch.testing.assert_close(ours(images), copied(ours, table)(images), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("side", [4, 6])
def test_generator_of_table_3(side):
    ours = generator("cnn", 8 * side)
    state = ours.state_dict()
    x = (noise(3, 128) @ state["first.0.weight"].T).view(3, 512, side, side)
    for stage, width in enumerate([512, 256, 128, 64]):
        if stage:
            x = nn.functional.conv_transpose2d(x, state[f"ups.{stage - 1}.weight"], None, 2, 1)
        assert x.shape[1:] == (width, side * 2**stage, side * 2**stage)
        x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
        x = relu(x)
    expected = torch.tanh(conv2d(x, state["output.weight"], state["output.bias"], padding=1))
    torch.testing.assert_close(ours(noise(3, 128)), expected, rtol=1e-3, atol=1e-5)


def test_numbers_of_parameters():
    kernels = 16 * (512 * 256 + 256 * 128 + 128 * 64)
    assert numbers(generator("cnn")) == 128 * 8192 + kernels + 2 * (512 + 256 + 128 + 64) + 27 * 64 + 3
    block = 2 * (9 * 256 * 256 + 256) + (256 * 256 + 256) + 4 * 256
    assert numbers(generator("resnet")) == 129 * 4096 + 3 * block + 2 * 256 + 27 * 256 + 3
    first, plain, pool = 27 * 128 + 128 + 3 * 128 + 128, 9 * 128 * 128 + 128, 128 * 128 + 128
    assert numbers(discriminator("resnet")) == first + plain + (2 * plain + pool) + 4 * plain + 128


# Table 4


def by_hand(block, x, *, resample="none", on_images=False, normalized=lambda x: x):
    """The block in the order of the released code: the shortcut of images pooled first, all others convolved first."""
    hidden = x if on_images else relu(normalized(x))
    if resample == "up":
        hidden = interpolate(hidden, scale_factor=2.0, mode="nearest")
    hidden = conv2d(hidden, block.first.weight, block.first.bias, padding=1)
    hidden = conv2d(relu(normalized(hidden)), block.second.weight, block.second.bias, padding=1)
    if resample == "down":
        hidden = avg_pool2d(hidden, 2)
    if isinstance(block.shortcut, nn.Identity):
        return x + hidden
    if resample == "up":
        x = interpolate(x, scale_factor=2.0, mode="nearest")
    if resample == "down" and on_images:
        return conv2d(avg_pool2d(x, 2), block.shortcut.weight, block.shortcut.bias) + hidden
    x = conv2d(x, block.shortcut.weight, block.shortcut.bias)
    return (avg_pool2d(x, 2) if resample == "down" else x) + hidden


def shaken(network):
    """Biases are 0 at the start: a test that forgets one must fail."""
    network = network.double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return network


def standard(x):
    return (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()


def test_discriminator_of_table_4():
    ours = shaken(discriminator("resnet", width=4))
    x = images = noise(3, 3, 32, 32).double().tanh()
    resamples = [("down", True), ("down", False), ("none", False), ("none", False)]
    for block, (resample, on_images) in zip(ours.features, resamples, strict=False):
        x = by_hand(block, x, resample=resample, on_images=on_images)
    assert x.shape == (3, 8, 8, 8)
    torch.testing.assert_close(ours(images), relu(x).sum((2, 3)) @ ours.output.weight[0], rtol=1e-9, atol=1e-12)
    assert ours.output.bias is None


def test_generator_of_table_4():
    ours = shaken(generator("resnet", width=4, latent_dim=7))
    latent = noise(3, 7).double()
    with torch.no_grad():
        for module in ours.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.zero_()
    x = (latent @ ours.first[0].weight.T + ours.first[0].bias).view(3, 16, 4, 4)
    for block in ours.blocks:
        x = by_hand(block, x, resample="up", normalized=standard)
    x = torch.tanh(conv2d(relu(standard(x)), ours.output.weight, ours.output.bias, padding=1))
    torch.testing.assert_close(ours(latent), x, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("resample", ["up", "down", "none"])
@pytest.mark.parametrize("channels", [(5, 5), (5, 3)])
@pytest.mark.parametrize("on_images", [True, False])
def test_blocks(channels, resample, on_images):
    torch.manual_seed(0)
    norms = [class_norm("none", size, 0) for size in channels]
    block = shaken(ResidualBlock(*channels, *norms, resample=resample, on_images=on_images))
    x = noise(2, 5, 8, 8).double()
    expected = by_hand(block, x, resample=resample, on_images=on_images)
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-12)
    assert isinstance(block.shortcut, nn.Identity) is (resample == "none" and channels == (5, 5))


# Sizes


@pytest.mark.parametrize("image_channels", [1, 3])
@pytest.mark.parametrize("image_size", [16, 24, 32, 48, 64])
@pytest.mark.parametrize("kind", PAIRS)
def test_shapes_and_ranges(kind, image_size, image_channels):
    makes = generator(kind, image_size, image_channels=image_channels, width=4, latent_dim=7)
    judges = discriminator(kind, image_size, image_channels=image_channels, width=4)
    for n in (1, 3):
        images = makes(5 * noise(n, 7))
        assert images.shape == (n, image_channels, image_size, image_size)
        assert images.abs().max() <= 1
        assert images.std() > 0.01
        logits = judges(images)
        assert logits.shape == (n,)
        assert logits.isfinite().all()


@pytest.mark.parametrize("norm", NORMALIZATIONS)
@pytest.mark.parametrize("kind", PAIRS)
def test_other_normalizations(kind, norm):
    """Of the whole batch in batch norm alone, and felt by every weight."""
    makes = generator(kind, 16, width=4, norm=norm, latent_dim=7).double()
    judges = discriminator(kind, 16, width=4, norm=norm).double()
    latent = noise(4, 7).double().requires_grad_()
    images = makes(latent)
    (gradient,) = torch.autograd.grad(judges(images)[0], latent, retain_graph=True)
    assert bool(gradient[1:].abs().max() > 1e-12) is (norm == "batch")
    (judges(images) * noise(4).double()).sum().backward()
    for network in (makes, judges):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name


def test_biases_of_the_cnn_where_no_normalization_has_one():
    for norm in ("batch", "layer", "none"):
        makes, judges = generator("cnn", 16, width=4, norm=norm), discriminator("cnn", 16, width=4, norm=norm)
        hidden = [makes.first[0], *makes.ups, *[layer for layer in judges.features if isinstance(layer, nn.Conv2d)][1:]]
        assert {layer.bias is None for layer in hidden} == {norm != "none"}
        assert all(layer.bias is not None for layer in (makes.output, judges.output, judges.features[0]))


# Initial weights


@pytest.mark.parametrize("make", [generator, discriminator])
def test_initial_weights_of_the_cnn(make):
    """N(0, 0.02^2), biases 0; bounds of five standard errors."""
    layers = [m for m in make("cnn").modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    assert len(layers) == {generator: 5, discriminator: 8}[make]
    for layer in layers:
        weight, count = layer.weight.double(), layer.weight.numel()
        assert weight.mean().item() == pytest.approx(0, abs=5 * 0.02 / count**0.5)
        assert weight.std().item() == pytest.approx(0.02, rel=5 / (2 * count) ** 0.5)
        assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("make", [generator, discriminator])
def test_initial_weights_of_the_resnet(make):
    """Uniform, bounded by gain sqrt(6 / (inputs + outputs)): gain sqrt(2) within the blocks, 1 elsewhere; biases 0."""
    for name, layer in make("resnet", num_classes=10).named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            field = layer.weight[0, 0].numel()
            gain = math.sqrt(2) if name.split(".")[-1] in ("first", "second") else 1.0
            bound = gain * math.sqrt(6 / (field * sum(layer.weight.shape[:2])))
            assert layer.weight.abs().max().item() <= bound
            assert layer.weight.abs().max().item() > 0.95 * bound, name
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
            assert layer.bias is None or not layer.bias.any()


def test_glorot_of_convolutions():
    torch.manual_seed(0)
    layer = glorot(nn.Conv2d(20, 30, 3), 3.0)
    assert layer.weight.std().item() == pytest.approx(3 * (2 / (9 * 50)) ** 0.5, rel=0.05)


# Classes


@pytest.mark.parametrize("kind", PAIRS)
def test_projection_of_the_class(kind):
    """The logit of class y is that of no class plus the inner product of its vector with the features."""
    judges = shaken(discriminator(kind, 16, width=4, num_classes=5))
    images, label = noise(3, 3, 16, 16).double(), torch.tensor([4, 0, 4])
    features = judges.features(images)
    expected = features @ judges.output.weight[0] + (0 if judges.output.bias is None else judges.output.bias)
    expected = expected + (features * judges.classes.weight.T[label]).sum(1)
    torch.testing.assert_close(judges(images, label), expected, rtol=1e-10, atol=1e-12)
    assert (judges(images, label) - judges(images, torch.tensor([1, 1, 1]))).abs().min() > 1e-7


@pytest.mark.parametrize("kind", PAIRS)
def test_classes_have_gains_and_biases_of_their_own(kind):
    makes = generator(kind, 16, width=4, latent_dim=7, num_classes=5).eval()
    latent = noise(1, 7).expand(5, -1)
    assert torch.equal(makes(latent, torch.arange(5))[0], makes(latent, torch.arange(5))[4])  # at the start all alike
    norms = [module for module in makes.modules() if isinstance(module, ClassNorm)]
    assert len(norms) == {"cnn": 4, "resnet": 7}[kind]
    for norm in norms:
        assert norm.norm.weight is None
        with torch.no_grad():
            norm.gain[3] += 1
        images = makes(latent, torch.arange(5))
        assert (images[3] - images[2]).abs().max() > 1e-6
        assert torch.equal(images[2], images[4])
        with torch.no_grad():
            norm.gain[3] -= 1


@pytest.mark.parametrize("kind", PAIRS)
def test_a_conditional_network_asks_for_labels(kind):
    message = r"This network is conditional: give each sample a label in \[0, 5\)"
    with pytest.raises(ValueError, match=message):
        generator(kind, 16, width=4, num_classes=5)(noise(3, 128))
    with pytest.raises(ValueError, match=message):
        discriminator(kind, 16, width=4, num_classes=5)(noise(3, 3, 16, 16))


# Bad arguments


@pytest.mark.parametrize("make", [generator, discriminator])
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 28}, "SNGAN makes images of 16, 24, 32, 40, 48 … pixels, not 28"),
        ({"image_size": 8}, "pixels, not 8"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"image_channels": 0}, "image_channels must be at least 1, got 0"),
        ({"num_classes": -1}, "num_classes must be at least 0, got -1"),
        ({"norm": "bath"}, "no normalization called 'bath'"),
    ],
)
def test_bad_arguments(make, kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(kind, **arguments)
