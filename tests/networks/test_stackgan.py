"""The layers of StackGAN, as its paper and code have them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lit_gans.layers.conditioning_augmentation import ConditioningAugmentation
from lit_gans.networks.stackgan import Stage1Generator, Stage2Generator, StageDiscriminator, halvings, join

E = 5


def first(size: int, width: int = 2, kind: str = "default", norm: str = "batch") -> Stage1Generator:
    return Stage1Generator((3, size, size), width, kind, norm, 3, ConditioningAugmentation(E, 4))


def second(
    coarse: int, size: int, width: int = 4, blocks: int = 1, norm: str = "batch", *, skip: bool = False
) -> Stage2Generator:
    return Stage2Generator((3, size, size), coarse, width, blocks, norm, ConditioningAugmentation(E, 4), skip=skip)


def judge(
    size: int, width: int = 2, kind: str = "default", norm: str = "batch", head: str = "concat"
) -> StageDiscriminator:
    return StageDiscriminator((3, size, size), width, kind, norm, E, 4, head)


def maps(network: nn.Module, *inputs: Tensor) -> list[tuple[int, ...]]:
    """Channels and sides of what the convolutions give, in order."""
    seen: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _, given, result: seen.append(tuple(result.shape[1:3])))
    network(*inputs)
    return seen


def test_stage_1_at_64_pixels() -> None:
    """8, 4, 2 and 1 gf channels; the residual blocks narrow to a quarter, with convolutions of 1, 3 and 3 pixels."""
    given = torch.randn(2, 7), torch.randn(2, E)
    assert maps(first(64, 8, "simple"), *given) == [(32, 8), (16, 16), (8, 32), (3, 64)]
    widened = [(16, 4), (16, 4), (64, 4), (32, 8), (8, 8), (8, 8), (32, 8), (16, 16), (8, 32), (3, 64)]
    assert maps(first(64, 8, "default"), *given) == widened


def test_stage_2_from_64_to_256_pixels() -> None:
    condition = join(torch.randn(1, 3, 64, 64), torch.randn(1, E))
    encoded = [(8, 64), (16, 32), (32, 16), (32, 16)]
    blocks = [(32, 16)] * 8
    assert maps(second(64, 256, 8, 4), torch.randn(1, 4), condition) == [
        *encoded,
        *blocks,
        *[(16, 32), (8, 64), (4, 128), (2, 256), (3, 256)],
    ]


def test_the_discriminators() -> None:
    """To 4 pixels, back to 8 df channels, the text beside them, a convolution of 1 pixel, one of 4."""
    image, text = torch.randn(2, 3, 64, 64), torch.randn(2, E)
    down = [(4, 32), (8, 16), (16, 8), (32, 4)]
    assert maps(judge(64, 4, "simple"), image, text) == [*down, (32, 4), (1, 1)]
    assert maps(judge(64, 4, "default"), image, text) == [*down, (8, 4), (8, 4), (32, 4), (32, 4), (1, 1)]
    large = torch.randn(2, 3, 256, 256)
    down = [(4, 128), (8, 64), (16, 32), (32, 16), (64, 8), (128, 4), (64, 4), (32, 4)]
    assert maps(judge(256, 4, "simple"), large, text) == [*down, (32, 4), (1, 1)]


@pytest.mark.parametrize("kind", ["simple", "default"])
@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "group", "none"])
@pytest.mark.parametrize("size", [8, 16, 64])
def test_shapes_and_ranges(kind: str, norm: str, size: int) -> None:
    image = first(size, kind=kind, norm=norm)(torch.randn(3, 7), torch.randn(3, E))
    assert image.shape == (3, 3, size, size)
    assert image.detach().abs().max().item() <= 1
    assert judge(size, kind=kind, norm=norm)(image, torch.randn(3, E)).shape == (3,)
    large = second(size, 2 * size, norm=norm)(torch.randn(3, 4), join(image, torch.randn(3, E)))
    assert large.shape == (3, 3, 2 * size, 2 * size)
    assert large.detach().abs().max().item() <= 1


def test_a_discriminator_looks_at_image_and_text_alone() -> None:
    network, coarse = judge(32).eval(), torch.randn(2, 3, 16, 16)
    image, text = torch.randn(2, 3, 32, 32), torch.randn(2, E)
    torch.testing.assert_close(network(image, join(coarse, text)), network(image, text))
    assert not torch.allclose(network(image, text.flip(0)), network(image, text))
    assert not torch.allclose(network(image.flip(0), text), network(image, text))


def test_a_skip_begins_at_the_small_image() -> None:
    """What is made is added before the tanh: y = tanh(f + atanh x), whose gradient is 1 - y^2, also for x = 1."""
    network, noise, text = second(16, 32, skip=True).double(), torch.randn(3, 4).double(), torch.randn(3, E).double()
    coarse = (torch.rand(3, 3, 16, 16).double() * 3 - 1.5).clamp(-1, 1)
    enlarged = nn.functional.interpolate(coarse, 32, mode="bilinear")
    image = network(noise, join(coarse, text))
    torch.testing.assert_close(image, enlarged.clamp(-0.99, 0.99))
    (gradient,) = torch.autograd.grad(image.sum(), network.output.bias)
    torch.testing.assert_close(gradient, (1 - image.detach().square()).sum((0, 2, 3)))
    nn.init.normal_(network.output.weight)
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    for module in (network.hidden, network.refine, network.output):
        module.register_forward_hook(lambda module, given, made: seen.__setitem__(module, (given[0], made)))
    changed = network(noise, join(coarse, text))
    torch.testing.assert_close(seen[network.refine][0], torch.cat([seen[network.hidden][1], enlarged], 1))
    torch.testing.assert_close(changed, (seen[network.output][1] + image.atanh()).tanh())


def test_the_projection_is_an_inner_product() -> None:
    """Image alone, and <h(x), v(t)> / 2, of 4 numbers each: arXiv 1802.05637, eq. 3."""
    network, image, text = (
        judge(16, head="projection", norm="none").double(),
        torch.randn(3, 3, 16, 16),
        torch.randn(3, E),
    )
    map_ = network.image(image.double())
    h, v = network.projection(map_.flatten(1)), network.text(text.double())
    expected = [float(network.output(map_)[i]) + sum(float(h[i, k] * v[i, k]) for k in range(4)) / 2 for i in range(3)]
    assert network(image.double(), text.double()).tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("head", ["concat", "projection"])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_several_texts_of_each_image(head: str, n: int) -> None:
    """As one after the other, value and gradient."""
    network, image, texts = judge(16, head=head, norm="layer").double(), torch.randn(n, 3, 16, 16), torch.randn(n, 4, E)
    image, texts = image.double(), texts.double()
    both = network(image, texts), torch.stack([network(image, text) for text in texts.unbind(1)], 1)
    assert both[0].shape == (n, 4)
    torch.testing.assert_close(*both)
    gradients = [torch.autograd.grad(logits.square().sum(), list(network.parameters())) for logits in both]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    assert network(image, texts[:, :1]).shape == (n, 1)


@pytest.mark.parametrize("part", ["z", "noise of c", "text"])
def test_all_that_stage_1_is_given_is_felt(part: str) -> None:
    network, latent, text = first(16).eval(), torch.randn(1, 7), torch.randn(1, E)
    other: dict[str, Any] = {"z": (latent + torch.eye(7)[:1], text), "noise of c": (latent + torch.eye(7)[-1:], text)}
    changed = other.get(part, (latent, text + 1))
    assert not torch.allclose(network(*changed), network(latent, text))


@pytest.mark.parametrize("part", ["image", "noise of c", "text"])
def test_all_that_stage_2_is_given_is_felt(part: str) -> None:
    torch.manual_seed(0)
    network = second(16, 32)
    given = {"noise of c": torch.randn(3, 4), "image": torch.randn(3, 3, 16, 16), "text": torch.randn(3, E)}
    changed = {**given, part: torch.randn_like(given[part])}
    images = [network(own["noise of c"], join(own["image"], own["text"])) for own in (given, changed)]
    assert not torch.allclose(*images, atol=1e-3)


@pytest.mark.parametrize("size", [0, 4, 24, 100])
def test_sizes_that_there_are_no_networks_for(size: int) -> None:
    with pytest.raises(ValueError, match=f"not {size}"):
        halvings(size)
