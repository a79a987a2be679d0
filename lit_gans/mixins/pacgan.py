"""PacGAN: The power of two samples in generative adversarial networks (Lin, Khetan, Fanti, Oh, NeurIPS 2018).

arXiv 1712.04086. A generator that leaves out modes is more easily told from the data by pairs of its samples than by
single ones.
"""

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans.conditions import check_unconditional
from lit_gans.gan import GAN
from lit_gans.layers.packing import Packing


class PacGAN(GAN):
    """The discriminator is shown m samples of one source at once, joined as channels or coordinates.

    D(x_1, ..., x_m) (arXiv 1712.04086, section 2): N samples have N // m logits; those left over are not shown. Packs
    are made last, of what ``discriminator_input`` has made of each sample.

    Args:
        pac_samples: m, at least 2.
        rest: options of the model.

    Raises:
        ValueError: if ``pac_samples`` is below 2, the model is conditional or does not say the shape of its samples, or
            a batch has no m of them.
    """

    def __init__(self, *, pac_samples: int = 2, **rest: Any) -> None:
        super().__init__(**rest)
        if pac_samples < 2:
            raise ValueError(f"pac_samples must be at least 2, got {pac_samples}.")
        self.packing = Packing(pac_samples)

    @property
    @override
    def discriminator_shape(self) -> tuple[int, ...]:
        shape = super().discriminator_shape
        return (*(self.packing.samples * n for n in shape[:1]), *shape[1:])

    @override
    def build_discriminator(self) -> nn.Module:
        network = super().build_discriminator()
        network.add_module("packing", self.packing)  # there it says what it rules out
        return network

    @override
    def check(self) -> None:
        super().check()
        check_unconditional(self, "pacgan shows D several samples at once, each with a condition of its own")

    @override
    def play(self, network: str, *inputs: Tensor | None) -> Tensor:
        if network == "discriminator":
            inputs = (self.packing(inputs[0]), *inputs[1:])
        return super().play(network, *inputs)

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        whole = getattr(getattr(self.trainer, "datamodule", None), "batch_size", None)
        if whole is not None:  # the smallest part of it that is worked through at once
            self.packing(torch.empty(whole // self.trainer.world_size, 1).chunk(self.accumulate)[-1])
