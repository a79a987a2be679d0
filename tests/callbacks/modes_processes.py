"""Run as a script: counts the modes of the same generators on DEVICES processes.

usage: python -m tests.callbacks.modes_processes DEVICES FOLDER
"""

import os
import sys
from pathlib import Path

import torch

from lit_gans.callbacks.modes import ModeCount
from lit_gans.data import Rings, StackedDigits
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, trainer

STILL = {f"{player}_optimizer": {"name": "sgd", "lr": 0.0} for player in ("generator", "discriminator")}


def main(devices: int, folder: Path) -> None:
    small = {"latent_dim": 4, "generator_hidden": [16], "discriminator_hidden": [16]}
    games = [
        (MLPGAN(**small, **STILL), Rings(num_samples=640, batch_size=8)),
        (
            DCGAN(**{**TINY, "image_channels": 3}, generator_norm="none", **STILL),
            StackedDigits(image_size=16, batch_size=8),
        ),
    ]
    found: dict[str, float] = {}
    for model, data in games:
        # Nothing divides by two: each process has its own number of batches and of samples.
        callback = ModeCount(every=None, num_points=51, num_stacks=51, batch_size=8)
        strategy = "ddp" if devices > 1 else "auto"
        runner = trainer(
            devices=devices, strategy=strategy, max_steps=1, callbacks=[callback], use_distributed_sampler=False
        )
        runner.fit(model, datamodule=data)
        found |= callback.last[0]
    torch.save(found, folder / f"{devices}-{os.environ.get('LOCAL_RANK', 0)}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
