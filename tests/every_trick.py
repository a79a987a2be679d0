"""Run as a script: every trick, stopped and resumed on DEVICES processes; writes down, for each rank, what differs.

LAPGAN is one more, with tricks that remember in each of its games, and a classifier from few labels another; StackGAN,
which remembers texts, is stopped in either stage, and StackGAN++ remembers as LAPGAN does.

usage: python -m tests.every_trick DEVICES FOLDER [TRICK ...]
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from lit_gans import Sampler, compose
from lit_gans.data import Digits
from lit_gans.models import DCGAN, LAPGAN, SemiSupervisedGAN, StackGAN, StackGANPP
from tests.conftest import TINY, trainer
from tests.mixins.test_tricks import BASE, NO_BATCH_NORM, SMALL, TRICKS, WITH, options_of, trick_classes
from tests.resume import differences

BATCHES, STOP, BATCH = 6, 3, 16
PYRAMID = ("historical_averaging", "checkpoint_replay")
STAGES = {"stackgan in stage 1": [4, 2], "stackgan in stage 2": [2, 4]}
NAMES = (*TRICKS, "lapgan", "semi_supervised", *STAGES, "stackgan_pp")


class Save(Callback):
    """Saves a checkpoint after the batch STOP, on all ranks together."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if pl_module.batches_seen == STOP:
            trainer.save_checkpoint(self.path, weights_only=False)


def made(name: str) -> Sampler:
    """A DCGAN with the trick, its options such that they are felt."""
    if name == "lapgan":
        own = {key: value for trick in PYRAMID for key, value in options_of(trick).items()}
        return compose(LAPGAN, *(trick_classes(trick)[0] for trick in PYRAMID))(**SMALL["lapgan"], **own)
    if name == "semi_supervised":
        return SemiSupervisedGAN(**SMALL[name])
    if name == "stackgan_pp":
        own = {key: value for trick in PYRAMID for key, value in options_of(trick).items()}
        return compose(StackGANPP, *(trick_classes(trick)[0] for trick in PYRAMID))(**SMALL[name], **own)
    if name in STAGES:
        near = {"text_head": "projection", "wrong_texts": 2, "matching_weight": 1.0}
        return StackGAN(**{**SMALL["stackgan"], **near, "stage_steps": STAGES[name]})
    options = options_of(name)
    for key in options:
        options |= WITH.get(key, {})
    return compose(DCGAN, *trick_classes(name))(**{**TINY, **NO_BATCH_NORM, **BASE.get(name, {}), **options})


def run(name: str, devices: int, ckpt_path: Path | None, *callbacks: Callback, **options: Any) -> dict[str, Any]:
    """The state of a run of BATCHES batches, as a checkpoint would hold it."""
    model = made(name)
    runner = trainer(
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        limit_train_batches=BATCHES,
        max_epochs=1,
        callbacks=list(callbacks),
        **options,
    )
    data = Digits(batch_size=BATCH, image_size=16, num_labelled=30 if model.learns_labels else None)
    runner.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    state: dict[str, Any] = {}
    model.on_save_checkpoint(state)
    assert model.batches_seen == BATCHES
    return {
        "weights": {key: value.clone() for key, value in model.state_dict().items()},
        "optimizers": [optimizer.state_dict()["state"] for optimizer in runner.optimizers],
        "rest": state,
        "updates": runner.global_step,
    }


def digest(weights: dict[str, Tensor]) -> str:
    """Equal for equal weights."""
    found = hashlib.blake2b()
    for name in sorted(weights):
        found.update(weights[name].contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def stopped_and_resumed(name: str, devices: int, folder: Path, **options: Any) -> dict[str, Any]:
    """What differs between the run that never stopped and the resumed one, and the final weights' digest."""
    path = folder / f"{name}-{devices}.ckpt"
    straight = run(name, devices, None, Save(path), **options)
    resumed = run(name, devices, path, **options)
    return {"differences": differences(straight, resumed), "weights": digest(straight["weights"])}


if __name__ == "__main__":
    devices, folder = int(sys.argv[1]), Path(sys.argv[2])
    found = {name: stopped_and_resumed(name, devices, folder) for name in sys.argv[3:] or NAMES}
    (folder / f"rank{os.environ.get('LOCAL_RANK', 0)}.json").write_text(json.dumps(found))
