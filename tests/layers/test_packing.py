"""Which samples a pack holds, in which order, and which are left over."""

import pytest
import torch

from lit_gans.layers.packing import Packing


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_consecutive_samples_are_joined_along_the_first_dimension(shape: tuple[int, ...]) -> None:
    x = torch.randn(7, *shape)
    packed = Packing(3)(x)
    assert packed.shape == (2, 9, *shape[1:])
    assert torch.equal(packed, torch.stack([torch.cat([*x[:3]]), torch.cat([*x[3:6]])]))


def test_maps_in_channels_last_as_well() -> None:
    x = torch.randn(8, 3, 4, 4)
    assert torch.equal(Packing(2)(x.to(memory_format=torch.channels_last)), Packing(2)(x))


def test_what_is_left_over_has_no_gradient() -> None:
    x = torch.randn(8, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(Packing(3)(x).sum(), x)
    assert gradient.tolist() == [[1.0, 1.0]] * 6 + [[0.0, 0.0]] * 2


def test_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 samples at once and was given 2: use a larger data\.batch_size"):
        Packing(3)(torch.randn(2, 4))
