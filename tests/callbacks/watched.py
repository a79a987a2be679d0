"""Run as a script: watched trainings on two processes; each rank saves what it saw.

usage: python -m tests.callbacks.watched FOLDER

It imports everything once and forks its trainings, so that one starts in no time.
"""

import math
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from lit_gans.callbacks.collapse import CollapseWatch
from lit_gans.callbacks.early_stopping import EarlyStopping
from lit_gans.models import MLPGAN
from tests.conftest import trainer

POINTS = [{"image": torch.tensor([math.cos(i), math.sin(i)])} for i in range(64)]


class Ranked(MLPGAN):
    """On the second process alone, a loss is no number in the third update, if asked for."""

    lost = False

    def generator_loss(self, *given: Any) -> Tensor:
        loss = super().generator_loss(*given)
        return loss + math.nan if self.lost and self.global_rank == 1 and self.trainer.global_step == 2 else loss


class Save(Callback):
    """Leaves what a rank has at its end."""

    def __init__(self, path: Path, watch: CollapseWatch) -> None:
        self.path, self.watch = path, watch
        self.rows: dict[int, dict[str, float]] = {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        row = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("watch/")}
        self.rows.setdefault(trainer.global_step, row)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        found = {"rows": self.rows, "end": trainer.global_step, "broken": self.watch.broken}
        weights = torch.cat([parameter.flatten() for parameter in pl_module.parameters()]).detach()
        torch.save({**found, "weights": weights}, self.path.with_suffix(f".{trainer.global_rank}"))


def train(path: Path, watch: CollapseWatch | None, *others: Callback, lost: bool = False) -> None:
    """Eight updates."""
    torch.set_num_threads(1)
    model = Ranked(latent_dim=2, generator_hidden=[8], discriminator_hidden=[8])
    model.lost = lost
    save = Save(path, watch or CollapseWatch())
    callbacks = [*([] if watch is None else [watch]), *others, save]
    runner = trainer(devices=2, strategy="ddp_fork", max_steps=8, callbacks=callbacks)
    runner.fit(model, DataLoader(POINTS, 4))


def main(folder: Path) -> None:
    """All cases."""
    train(folder / "alone", None)
    train(folder / "watched", CollapseWatch(every=2, n=16, patience=99))
    train(folder / "collapsed", CollapseWatch(every=1, n=16, patience=3, diversity=0.99, on_collapse="stop"))
    train(folder / "lost", CollapseWatch(every=1, n=16), lost=True)
    early = EarlyStopping("watch/diversity", mode="max", patience=2, min_delta=100.0)
    train(folder / "early", CollapseWatch(every=2, n=16), early)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
