"""Minibatch standard deviation: Progressive Growing of GANs (Karras et al., ICLR 2018, arXiv 1710.10196)."""

from typing import Any

from torch import nn
from typing_extensions import override

from lit_gans.gan import GAN
from lit_gans.layers.minibatch_stddev import MinibatchStddev as Layer
from lit_gans.layers.side_features import add_side_features


class MinibatchStddev(GAN):
    """One more feature for the discriminator's last layer: how much the samples of a batch differ.

    The standard deviation over the batch of each of the layer's inputs, averaged over them (arXiv 1710.10196, section
    3). Minibatch discrimination with nothing to learn. The batch is that of one device, or of its part.

    Args:
        mbstd_group: samples that are compared, at least 2; None for the whole batch. StyleGAN2-ADA takes groups (Karras
            et al. 2020, arXiv 2006.06676), whose size does not change with the batch; the last one has what is left.
        rest: options of the model.

    Raises:
        ValueError: if ``mbstd_group`` is below 2, or the discriminator has no last layer that can be joined.
    """

    def __init__(self, *, mbstd_group: int | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        if mbstd_group is not None and mbstd_group < 2:
            raise ValueError(f"mbstd_group must be at least 2, or null for the whole batch, got {mbstd_group}.")
        self.mbstd_group = mbstd_group

    @override
    def build_discriminator(self) -> nn.Module:
        network = super().build_discriminator()
        add_side_features(network, lambda _: Layer(self.mbstd_group), 1, "minibatch_stddev")
        return network
