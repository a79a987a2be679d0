"""Three real offline runs in one process: a run, another one, and the first one gone on with. Prints what happened."""

import json
import os
import sys
from pathlib import Path

import lit_gans.callbacks.wandb as module

IMPORTED_EARLY = "wandb" in sys.modules

import numpy as np  # noqa: E402
from lightning.pytorch import Callback  # noqa: E402
from PIL import Image  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from lit_gans import checkpoint  # noqa: E402
from lit_gans.models import DCGAN  # noqa: E402
from tests.conftest import TINY, images, trainer  # noqa: E402

PICTURES_AT = (3, 4)


class Pictures(Callback):
    """Logs pictures at a step that has losses and at one that has not, as a sample grid would, and keeps them."""

    def __init__(self, folder):
        self.folder = folder
        self.acted = 0

    def on_train_batch_end(self, trainer, model, *_):
        step = trainer.global_step
        if step not in PICTURES_AT or step == self.acted:
            return
        self.acted = step
        for key, shape in (("samples", (12, 9)), ("colour", (5, 7, 3))):
            picture = Image.fromarray(np.random.default_rng(step).integers(0, 256, shape, dtype=np.uint8))
            picture.save(self.folder / f"{key}_{step}.png")
            trainer.logger.log_image(key=key, images=[picture], step=step)
        model.publish({"fid/digits": 10.0 / step})


def run(folder, max_steps, ckpt_path=None, **options):
    logger = module.WandbRun(save_dir=str(folder), **options)
    runner = trainer(
        max_steps=max_steps,
        log_every_n_steps=2,
        logger=logger,
        callbacks=[Pictures(folder), module.WandbId()],
        default_root_dir=folder,
    )
    runner.fit(DCGAN(**TINY, n_critic=2), DataLoader(images(32), 8), ckpt_path=ckpt_path)
    runner.save_checkpoint(folder / "last.ckpt")
    return {"id": logger.version, "checkpoint": checkpoint.read(folder / "last.ckpt").get("wandb_id")}


def main(folder):
    before = dict(os.environ)
    first = run(folder / "first", 6, tags=["a"], name="one", options={"config": {"from": "test"}})
    second = run(folder / "second", 2)
    last = folder / "first" / "last.ckpt"
    resumed = run(folder / "first", 10, ckpt_path=last, id=checkpoint.read(last)["wandb_id"])
    environment = {name: value for name, value in os.environ.items() if before.get(name) != value}
    result = {"first": first, "second": second, "resumed": resumed, "environment": environment}
    print("RESULT", json.dumps({**result, "imported_early": IMPORTED_EARLY}))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in ("first", "second"):
        (folder / name).mkdir()
    main(folder)
