"""Run as a script: ADA on DEVICES processes; saves, for each rank, what its discriminator said and what p became.

usage: python -m tests.mixins.ada_processes DEVICES FOLDER
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lit_gans import compose
from lit_gans.game import Batch
from lit_gans.mixins import AdaptiveAugmentation
from lit_gans.models import DCGAN
from tests.conftest import TINY, images, trainer

BATCH, BATCHES, INTERVAL = 12, 10, 3
OPTIONS = {"ada_target": 0.0, "ada_interval": INTERVAL, "ada_images": 400, "ada_start": 0.5, "accumulate": 2}


class Recording(AdaptiveAugmentation):
    """Notes the signs of real logits of every part of D's turns; after each turn what was heard, p and r_t."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        self.signs: list[list[float]] = []
        self.trajectory: list[list[float]] = []
        self.heard: list[list[int]] = []

    def discriminator_objective(self, batch: Batch) -> dict[str, Tensor]:
        terms = super().discriminator_objective(batch)
        self.signs.append(self.real_logits.sign().tolist())
        return terms

    def hear(self, signs: Tensor, images: int) -> None:
        super().hear(signs, images)
        self.heard.append([int(signs[1]), images])
        self.trajectory.append([float(self.ada.p), float(self.ada.r_t)])


def main(devices: int, folder: Path) -> None:
    rank = int(os.environ.get("LOCAL_RANK", 0))
    model = compose(DCGAN, Recording)(**TINY, **OPTIONS, discriminator_norm="none")
    local, collectives, reduce = BATCH // devices, [], torch.distributed.all_reduce

    def all_reduce(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if tensor.numel() > 1:  # Lightning itself compares a few single numbers
            collectives.append(tensor.numel())
        return reduce(tensor, *args, **kwargs)

    torch.distributed.all_reduce = all_reduce
    order = [b * BATCH + rank * local + i for b in range(BATCHES) for i in range(local)]
    loader = DataLoader(images(BATCH * BATCHES), local, sampler=order)
    strategy = "ddp" if devices > 1 else "auto"
    trainer(devices=devices, strategy=strategy, max_epochs=1, use_distributed_sampler=False).fit(model, loader)
    torch.distributed.all_reduce = reduce
    seen = {"signs": model.signs, "trajectory": model.trajectory, "heard": model.heard, "collectives": collectives}
    torch.save(seen, folder / f"{devices}-{rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
