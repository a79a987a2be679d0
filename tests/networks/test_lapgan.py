"""LAPGAN's networks: the sizes and initial weights of the paper and the authors' code."""

import pytest
import torch
from torch import nn

from lit_gans.networks import lapgan


def shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in network.parameters() if parameter.dim() > 1]


@pytest.mark.parametrize("classes", [0, 10])
def test_a_level_has_the_layers_of_the_code(classes: int) -> None:
    plane = [(28 * 28, 10)] if classes else []
    generator = lapgan.DifferenceGenerator(28 * 28, (3, 28, 28), 64, classes)
    assert shapes(generator) == [*plane, (64, 4 + len(plane), 7, 7), (64, 64, 7, 7), (3, 64, 5, 5)]
    discriminator = lapgan.LevelDiscriminator((3, 28, 28), 64, classes)
    assert shapes(discriminator) == [*plane, (64, 3 + len(plane), 5, 5), (64, 64, 5, 5), (1, 64 * 10 * 10)]


def test_the_discriminators_side_at_32_pixels_is_12() -> None:
    assert lapgan.LevelDiscriminator((3, 32, 32), 2).output.in_features == 2 * 12 * 12


@pytest.mark.parametrize("classes", [0, 10])
def test_the_coarsest_level_is_fully_connected(classes: int) -> None:
    torch.manual_seed(0)
    generator = lapgan.CoarsestGenerator(100, (3, 8, 8), 1200, classes)
    assert shapes(generator) == [(1200, 100 + classes), (1200, 1200), (192, 1200)]
    discriminator = lapgan.CoarsestDiscriminator((3, 8, 8), 600, classes)
    assert shapes(discriminator) == [(600, 192 + classes), (600, 600), (1, 600)]
    for network, deviation in ((generator, 0.05), (discriminator, 0.005)):
        weights = torch.cat([p.detach().flatten() for p in network.parameters() if p.dim() > 1])
        assert float(weights.std()) == pytest.approx(deviation, rel=0.01)
        assert all(not p.any() for p in network.parameters() if p.dim() == 1)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_generator_adds_to_the_coarse_image(n: int) -> None:
    generator = lapgan.DifferenceGenerator(100, (1, 10, 10), 2)
    nn.init.zeros_(generator.output.weight)
    nn.init.zeros_(generator.output.bias)
    coarse = torch.randn(n, 1, 10, 10)
    assert torch.equal(generator(torch.rand(n, 100), coarse), coarse)
    label = torch.arange(n)
    joined = lapgan.join(coarse, label)
    assert torch.equal(lapgan.label_of(joined), label)


def test_noise_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="images of 10 pixels is 100 numbers, not 99"):
        lapgan.DifferenceGenerator(99, (1, 10, 10), 2)


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("size", [7, 8])
def test_a_convolutional_coarsest_level_of_even_and_odd_sizes(size: int, classes: int, n: int) -> None:
    """Everybody's images are of the size asked for, unbounded, and of the label."""
    torch.manual_seed(0)
    generator = lapgan.ConvolutionalGenerator(6, (3, size, size), 4, classes)
    discriminator = lapgan.ConvolutionalDiscriminator((3, size, size), 4, classes)
    label = torch.arange(n) if classes else None
    image = generator(torch.randn(n, 6), label)
    assert image.shape == (n, 3, size, size)
    assert discriminator(image, label).shape == (n,)
    nn.init.constant_(generator.output.bias, 5.0)
    assert float(generator(torch.zeros(n, 6), label).mean()) > 2.0
    if label is not None:
        other = (label + 1) % 10
        assert not torch.equal(discriminator(image, other), discriminator(image, label))
        assert n == 1 or not torch.equal(generator(torch.zeros(n, 6), other), generator(torch.zeros(n, 6), label))


def test_the_convolutional_level_is_dcgans_last_two_stages() -> None:
    assert shapes(lapgan.ConvolutionalGenerator(100, (3, 8, 8), 128)) == [
        *[(256 * 4 * 4, 100), (256, 128, 4, 4), (3, 128, 3, 3)]
    ]
    assert shapes(lapgan.ConvolutionalDiscriminator((3, 8, 8), 64)) == [
        *[(64, 3, 3, 3), (128, 64, 4, 4), (1, 128 * 4 * 4)]
    ]


def test_widths_of_the_coarsest_level() -> None:
    assert lapgan.coarsest_widths("fully_connected", None, None) == (1200, 600)
    assert lapgan.coarsest_widths("convolutional", None, 5) == (128, 5)
    assert lapgan.coarsest_widths("convolutional", 5, None) == (5, 64)
