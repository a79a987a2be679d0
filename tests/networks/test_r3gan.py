"""R3GAN's networks: sizes, resampling, what fix-up initialization promises."""

import pytest
import torch
from torch import nn

from lit_gans.networks.r3gan import R3GANDiscriminator, R3GANGenerator, Resample, Residual, stage_widths


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("image_size", [16, 32])
def test_shapes(image_size, n):
    widths = stage_widths(image_size, 4, 16)
    makes, judges = R3GANGenerator(8, 3, widths, blocks=1), R3GANDiscriminator(3, widths, blocks=1)
    images = makes(torch.randn(n, 8))
    assert images.shape == (n, 3, image_size, image_size)
    assert judges(images).shape == (n,)


def test_widths_double_at_each_half_of_the_resolution_up_to_a_bound():
    assert stage_widths(64, 64, 768) == [768, 512, 256, 128, 64]
    assert stage_widths(16, 4, 8) == [8, 8, 4]
    with pytest.raises(ValueError, match="not 48"):
        stage_widths(48, 4, 8)
    with pytest.raises(ValueError, match="at most max_width=8, got 16"):
        stage_widths(16, 16, 8)
    with pytest.raises(ValueError, match="blocks must be at least 1, got 0"):
        R3GANGenerator(8, 3, [4], blocks=0)


def test_resampling_keeps_a_constant_inside_and_one_way_is_the_adjoint_of_the_other():
    up, down = Resample(2, up=True).double(), Resample(2, up=False).double()
    x, y = torch.randn(3, 2, 6, 6, dtype=torch.double), torch.randn(3, 2, 12, 12, dtype=torch.double)
    torch.testing.assert_close((up(x) * y).sum(), 4 * (x * down(y)).sum(), rtol=1e-10, atol=1e-10)
    ones = torch.ones(1, 2, 6, 6, dtype=torch.double)
    torch.testing.assert_close(up(ones)[..., 2:-2, 2:-2], torch.ones(1, 2, 8, 8, dtype=torch.double))
    torch.testing.assert_close(down(ones)[..., 1:-1, 1:-1], torch.ones(1, 2, 1, 1, dtype=torch.double))
    row = torch.zeros(1, 2, 1, 4, dtype=torch.double)
    row[..., 1] = 1.0  # one pixel becomes 1/2, 1, 1/2 along the row
    torch.testing.assert_close(up(row)[0, 0, 0], torch.tensor([0, 0.5, 1, 0.5, 0, 0, 0, 0], dtype=torch.double))


def test_a_block_begins_as_the_identity_and_learns():
    torch.manual_seed(0)
    block, x = Residual(8, 4, 2, depth=16), torch.randn(3, 8, 5, 5)
    assert torch.equal(block(x), x)
    widen, mix, narrow = (layer for layer in block.branch if isinstance(layer, nn.Conv2d))
    assert (widen.out_channels, mix.groups, narrow.bias) == (16, 4, None)
    assert float(widen.weight.detach().std()) == pytest.approx((2 / 1.04 / 8) ** 0.5 * 16**-0.25, rel=0.15)
    block(x).square().sum().backward()
    assert narrow.weight.grad.abs().max() > 0


def test_every_parameter_learns_once_the_blocks_are_no_identity():
    torch.manual_seed(0)
    makes, judges = R3GANGenerator(8, 1, [8, 4], blocks=1), R3GANDiscriminator(1, [8, 4], blocks=1)
    for module in [*makes.modules(), *judges.modules()]:
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.normal_(module.weight, 0, 0.1)
    judges(makes(torch.randn(4, 8))).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in [*makes.parameters(), *judges.parameters()])
