"""Run as a script: trainings that are stopped from outside, or run on two processes.

usage: python -m tests.callbacks.stopped FOLDER KILLS

Prints what happened as JSON. It imports everything once and forks its trainings, so that one starts in no time.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from lit_gans import checkpoint
from lit_gans.callbacks.checkpoints import Checkpoints
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.samples import SampleGrid
from lit_gans.models import MLPGAN
from tests.conftest import trainer

POINTS = [{"image": torch.tensor([i / 16 - 1, 0.5])} for i in range(32)]


class Report(Callback):
    """Says when training is under way, and leaves what a rank has at its end."""

    def __init__(self, folder: Path, ema: EMA) -> None:
        self.folder, self.ema = folder, ema

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == 10:
            (self.folder / "started").touch()

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        rank = trainer.global_rank
        files = sorted(path.name for path in self.folder.glob("checkpoints/*"))
        average, raw = self.ema.averages["generator"].state_dict(), pl_module.generator.state_dict()
        torch.save({"average": average, "raw": raw, "files": files}, self.folder / f"rank{rank}.pt")


def train(folder: Path, **options: Any) -> None:
    """Trains, from the last checkpoint if there is one, saving everything after each ``every`` updates."""
    torch.set_num_threads(1)
    ema, last = EMA(100), folder / "checkpoints" / "last.ckpt"
    every = options.pop("every", 1)
    callbacks = [ema, SampleGrid(every=5, points=10), Report(folder, ema), Checkpoints(every=every, keep=2)]
    runner = trainer(default_root_dir=folder, enable_checkpointing=True, callbacks=callbacks, **options)
    model = MLPGAN(latent_dim=2, generator_hidden=[8], discriminator_hidden=[8], n_critic=2)
    runner.fit(model, DataLoader(POINTS, 8), ckpt_path=last if last.exists() else None)


def fork(work: Callable[[], None]) -> int:
    """Runs it in a child, which ends with it.

    Returns:
        The child's process id.
    """
    if (child := os.fork()) == 0:
        code = 1
        try:
            work()
            code = 0
        except SystemExit:
            code = 3
        finally:
            os._exit(code)
    return child


def wait_for(condition: Callable[[], bool], child: int) -> None:
    """Returns when the condition holds; complains when the child is gone first or a minute is over."""
    end = time.time() + 60
    while not condition():
        if os.waitpid(child, os.WNOHANG) != (0, 0) or time.time() > end:
            raise RuntimeError("the training stopped, or never started")
        time.sleep(0.002)


def changed(path: Path, before: float) -> bool:
    return path.exists() and path.stat().st_mtime > before


def kill(folder: Path, times: int) -> dict[str, Any]:
    """Kills trainings at random moments; each goes on from the last checkpoint of the one before."""
    steps, halves, last = [], 0, folder / "checkpoints" / "last.ckpt"
    for seed in range(times):
        before = last.stat().st_mtime if last.exists() else 0.0
        child = fork(lambda: train(folder))
        wait_for(lambda start=before: changed(last, start), child)
        time.sleep(random.Random(seed).random() * 0.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole = {path.name: checkpoint.read(path)["global_step"] for path in folder.glob("checkpoints/*.ckpt")}
        halves += len(list(folder.glob("checkpoints/.*.part")))
        steps.append(whole["last.ckpt"])
    return {"steps": steps, "halves": halves, "files": len(whole)}


def sigterm(folder: Path) -> int:
    """Asks a training to end.

    Returns:
        The exit code.
    """
    child = fork(lambda: train(folder, every=10**6))
    wait_for((folder / "started").exists, child)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path, kills: int) -> None:
    """All of it, each in a folder of its own."""
    for name in ("kill", "sigterm", "ranks"):
        (folder / name).mkdir()
    killed, code = kill(folder / "kill", kills), sigterm(folder / "sigterm")
    train(folder / "ranks", every=5, devices=2, strategy="ddp_fork", max_steps=7)
    print(json.dumps({"kill": killed, "sigterm": code}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
