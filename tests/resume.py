"""Run as a script: one run that never stops, then one resumed from each of its checkpoints; prints what differs.

usage: python -m tests.resume DEVICES WORKERS N_CRITIC STOPS FOLDER
"""

import os
import random
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from lit_gans import compose
from lit_gans.callbacks.ema import EMA
from lit_gans.data import Digits
from lit_gans.mixins import OneSidedLabelSmoothing
from lit_gans.models import DCGAN
from tests.conftest import TINY, trainer

BATCH, BATCHES = 256, {1: 16, 3: 30}  # by n_critic; 7 batches are an epoch


class WithDropout(DCGAN):
    """A DCGAN whose discriminator drops features."""

    def build_discriminator(self) -> nn.Module:
        discriminator = super().build_discriminator()
        discriminator.stages[0].append(nn.Dropout(0.3))
        return discriminator


class SaveAt(Callback):
    """Saves a checkpoint after the batches whose number is given, and at the end of the epochs given."""

    def __init__(self, folder: Path, batches: set[int], epochs: set[int]) -> None:
        self.folder, self.batches, self.epochs = folder, batches, epochs

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen in self.batches:
            trainer.save_checkpoint(self.folder / f"batch{pl_module.batches_seen}.ckpt", weights_only=False)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch in self.epochs:
            trainer.save_checkpoint(self.folder / f"epoch{trainer.current_epoch}.ckpt", weights_only=False)


class Batches(Callback):
    """Remembers a fingerprint of every batch that a turn saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        weights = torch.arange(1, batch["image"].numel() + 1).view_as(batch["image"])
        self.seen.append((pl_module.batches_seen, int((batch["image"].long() * weights).sum())))


def run(devices: int, workers: int, n_critic: int, ckpt_path: Path | None, *callbacks: Callback) -> dict[str, Any]:
    """Everything that must be equal at the end of a run."""
    cls = compose(WithDropout, OneSidedLabelSmoothing)
    schedule = {"name": "cosine"}
    model = cls(
        **{**TINY, "width": 2}, n_critic=n_critic, lr_schedule=schedule, discriminator_norm="none", num_classes=10
    )
    data = Digits(batch_size=BATCH, num_workers=workers, image_size=16, flip=True)
    ema, batches = EMA(half_life=2000.0, ramp_up=None), Batches()
    runner = trainer(
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_steps=BATCHES[n_critic] // n_critic,
        callbacks=[ema, batches, *callbacks],
    )
    runner.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    saved: dict[str, Any] = {}
    ema.on_save_checkpoint(runner, model, saved)
    optimizers = [optimizer.state_dict() for optimizer in runner.optimizers]
    counters = [runner.global_step, model.batches_seen, model.images_seen, data.batches_seen, dict(model.turns_taken)]
    return {
        "weights": model.state_dict(),
        "optimizers": optimizers,
        "average": saved["ema"],
        "schedules": [config.scheduler.state_dict()["last_epoch"] for config in runner.lr_scheduler_configs],
        "counters": counters,
        "batches": batches.seen,
    }


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two nested states are not equal bit for bit."""
    if isinstance(ours, Tensor):
        return [] if torch.equal(ours.cpu(), theirs.cpu()) else [path]
    if isinstance(ours, dict):
        missing = [f"{path}.{key}" for key in ours.keys() ^ theirs.keys()]
        return missing + [
            d for key in ours.keys() & theirs.keys() for d in differences(ours[key], theirs[key], f"{path}.{key}")
        ]
    if path == ".batches":  # a resumed run sees the tail only
        return [] if theirs == ours[len(ours) - len(theirs) :] else [path]
    if isinstance(ours, list):
        return [d for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) for d in differences(a, b, f"{path}[{i}]")]
    return [] if ours == theirs else [path]


def main(devices: int, workers: int, n_critic: int, stops: int, folder: Path) -> list[str]:
    """The differences found, over ``stops`` random stops in mid-epoch and two at the end of an epoch."""
    choose = random.Random(f"{devices} {workers} {n_critic}")
    at = set(choose.sample(range(1, BATCHES[n_critic]), stops))
    straight = run(devices, workers, n_critic, None, SaveAt(folder, at, {0, 1}))
    assert len(straight["batches"]) == BATCHES[n_critic]
    found: list[str] = []
    for name in [*(f"batch{batch}" for batch in sorted(at)), "epoch0", "epoch1"]:
        resumed = run(devices, workers, n_critic, folder / f"{name}.ckpt")
        assert 0 < len(resumed["batches"]) < len(straight["batches"])
        found += [f"{name}{path}" for path in differences(straight, resumed)]
    return found


if __name__ == "__main__":
    devices, workers, n_critic, stops = map(int, sys.argv[1:5])
    found = main(devices, workers, n_critic, stops, Path(sys.argv[5]))
    rank = os.environ.get("LOCAL_RANK", "0")
    (Path(sys.argv[5]) / f"rank{rank}.txt").write_text("\n".join(found) or "equal")
