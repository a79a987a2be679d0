"""Run as a script: every memory on DEVICES processes; saves, for each rank, what the tests compare.

usage: python -m tests.mixins.remembering DEVICES FOLDER
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from lit_gans import GAN, compose
from lit_gans.mixins import CheckpointReplay, ExperienceReplay, HistoricalAveraging
from lit_gans.models import MLPGAN
from tests.conftest import images, trainer
from tests.two_processes import record

BATCH, BATCHES, STOP = 8, 12, 5
SMALL = {"latent_dim": 4, "sample_shape": [1, 16, 16], "generator_hidden": [8], "discriminator_hidden": [8]}
TRICKS = compose(MLPGAN, ExperienceReplay, CheckpointReplay, HistoricalAveraging)
MEMORIES = {"past_every": 2, "past_size": 2, "past_probability": 0.6, "history_weight": 5.0, "replay_size": 11}
KINDS = ("simgan", "pool")


class Save(Callback):
    """Lets the first rank alone write a checkpoint after the batch STOP, as one does whose companions are gone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == STOP:
            if trainer.is_global_zero:
                torch.save(trainer._checkpoint_connector.dump_checkpoint(weights_only=False), self.path)
            trainer.strategy.barrier()


def memories(model: GAN) -> dict[str, Any]:
    state: dict[str, Any] = {}
    model.on_save_checkpoint(state)
    return state["memories"]


def run(kind: str, devices: int, *callbacks: Callback, start: Path | None = None, same: bool = False) -> dict[str, Any]:
    """The end of a run. With ``same`` the latents do not depend on the number of processes."""
    rank, local = int(os.environ.get("LOCAL_RANK", 0)), BATCH // devices
    model = TRICKS(**SMALL, **MEMORIES, replay_kind=kind).double()
    order = [b * BATCH + rank * local + i for b in range(BATCHES) for i in range(local)]
    seen = STOP * local if start else 0  # a resumed epoch has the batches that are left, from the loader's first on
    loader = DataLoader(images(BATCH * BATCHES), local, sampler=[*order[seen:], *order[:seen]])
    runner = trainer(
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_steps=BATCHES,
        precision="64-true",
        use_distributed_sampler=False,
        callbacks=list(callbacks),
    )
    original = torch.distributed.all_reduce
    if same:
        record(model, rank, devices, own_latents=False)
    runner.fit(model, loader, ckpt_path=start, weights_only=True)
    torch.distributed.all_reduce = original
    return {"weights": model.state_dict(), "memories": memories(model), "met": model.past_fakes.met}


if __name__ == "__main__":
    devices, folder = int(sys.argv[1]), Path(sys.argv[2])
    found: dict[str, Any] = {}
    for kind in KINDS:
        path = folder / f"{kind}-{devices}.ckpt"
        found[kind] = {
            "straight": run(kind, devices, Save(path)),
            "resumed": run(kind, devices, start=path),
            "same": run(kind, devices, same=True),
        }
    torch.save(found, folder / f"{devices}-{os.environ.get('LOCAL_RANK', 0)}.pt")
