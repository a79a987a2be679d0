"""TensorBoard with the pictures, too."""

from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only


class TensorBoardRun(TensorBoardLogger):
    """Writes into `tensorboard/` of the run's folder.

    Args:
        save_dir: folder of the run.

    Raises:
        ModuleNotFoundError: if neither tensorboard nor tensorboardX is installed.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="tensorboard", version="", default_hp_metric=False)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Logs PIL images, grey or RGB."""
        for index, image in enumerate(images):
            pixels = np.asarray(image.convert("RGB"))
            name = key if len(images) == 1 else f"{key}/{index}"
            self.experiment.add_image(name, pixels, step, dataformats="HWC")
