"""Minibatch discrimination: Improved Techniques for Training GANs (Salimans et al., NeurIPS 2016, arXiv 1606.03498).

A discriminator that looks at each sample alone cannot tell that all of them are the same; one that sees how close each
is to the others of its batch tells a collapsed generator at a glance.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans.game import Batch
from lit_gans.gan import GAN
from lit_gans.layers import minibatch_discrimination as layers
from lit_gans.layers.capture import captured
from lit_gans.layers.side_features import add_side_features


class MinibatchDiscrimination(GAN):
    """The closeness of each sample to the rest of its batch joins the input of the discriminator's last layer.

    o(x_i)_b = sum over j != i of exp(-||M_i,b - M_j,b||_1), the M_i linear in the layer's input (arXiv 1606.03498,
    section 3.2; :mod:`lit_gans.layers.minibatch_discrimination`). Real samples and fakes are compared within their own
    kind. As in the paper's code the scales and biases are set by the first batch of real samples. The batch is that of
    one device, or of its part: with several devices, or with ``accumulate``, a sample has fewer neighbours. Every
    device begins with the mean of what all found in their first batch.
    A pass of N samples holds N * N * B * C numbers.

    Args:
        mbd_kernels: B, the features that join.
        mbd_dims: C, the numbers that a kernel compares.
        rest: options of the model.

    Raises:
        ValueError: if an option is below 1, or the discriminator has no last layer that can be joined.
    """

    def __init__(self, *, mbd_kernels: int = 100, mbd_dims: int = 5, **rest: Any) -> None:
        super().__init__(**rest)
        for name, value in (("mbd_kernels", mbd_kernels), ("mbd_dims", mbd_dims)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.mbd_kernels, self.mbd_dims = mbd_kernels, mbd_dims

    @override
    def build_discriminator(self) -> nn.Module:
        network = super().build_discriminator()
        make = partial(layers.MinibatchDiscrimination, kernels=self.mbd_kernels, dims=self.mbd_dims)
        add_side_features(network, make, self.mbd_kernels, "minibatch_discrimination")
        return network

    @override
    def take_turn(self, index: int, batch: Batch, size: int, *, last: bool, counts: bool) -> dict[str, Tensor]:
        if not self.turns_taken:
            self.calibrate(self.parts(batch)[0])
        return super().take_turn(index, batch, size, last=last, counts=counts)

    @torch.no_grad()
    def calibrate(self, batch: Batch) -> None:
        """Sets the scales and biases, unless they came with a checkpoint."""
        (layer,) = (m for m in self.discriminator.modules() if isinstance(m, layers.MinibatchDiscrimination))
        if layer.calibrated:
            return
        self.seed_turn("minibatch_discrimination", 0)
        with captured(layer, inputs=True) as seen:
            self.discriminate(batch["image"], self.condition(batch))
        layer.calibrate(seen[-1], partial(self.trainer.strategy.reduce, reduce_op="mean"))
