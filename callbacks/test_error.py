"""How often a model that tells classes is wrong about a test set, and what it takes its own samples for."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from PIL import Image
from torch import Tensor
from typing_extensions import override

from lit_gans.callbacks.ema import averaged, find_ema
from lit_gans.callbacks.images import confusion_matrix, grid, save
from lit_gans.data.samples import Samples
from lit_gans.models import SemiSupervisedGAN

AT_ONCE, SAMPLES, ROWS = 1000, 1000, 8


class TestError(Callback):
    """Publishes ``test/error``, the share of test images of which a model tells a wrong class, and ``test/wrong``.

    Both are of the averaged weights where the trainer has an :class:`~lit_gans.callbacks.ema.EMA`; those that train are
    then ``test/error_raw`` and ``test/wrong_raw``. Draws the confusion matrix of the last look, ``confusion.png``, and
    with each look ``samples/classes/step_000123.png``: a column for each class with the first eight of a thousand
    samples that the model takes for it, white where there are fewer. Every logger that takes pictures gets them. Models
    that tell no classes are left alone.

    Args:
        every: generator updates between two looks; None for one look, at the end of training. The end always counts.

    Attributes:
        last: the last scores, and their update.

    Raises:
        ValueError: if ``every`` is below 1.
    """

    __test__ = False  # pytest would take it for a test

    def __init__(self, every: int | None = 500) -> None:
        if every is not None and every < 1:
            raise ValueError(f"every must be at least 1, got {every}.")
        self.every = every
        self.data: Samples | None = None
        self.names: list[str] = []
        self.last: tuple[dict[str, float], int] | None = None

    # When

    @override
    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self.data = self.last = None
        if stage != "fit" or not isinstance(pl_module, SemiSupervisedGAN):
            return
        data: Any = getattr(trainer, "datamodule", None)
        try:
            self.data = getattr(data, "test_dataset", None)
        except FileNotFoundError as error:
            rank_zero_info(f"There is nothing to test with: {error}")
            return
        if self.data is None:
            rank_zero_info(f"There is nothing to test with{getattr(data, 'how_to_test', '')}.")
            return
        self.names = list(data.class_names)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        # With several discriminator turns a round, several batches end at the same update.
        step = trainer.global_step
        if self.every is not None and step and step % self.every == 0:
            self._look_once(trainer, pl_module)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.global_step:
            self._look_once(trainer, pl_module)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self.data is not None and self.last and trainer.is_global_zero:
            scores, step = self.last
            known = len(self.data) if self.data.labels is None else int((self.data.labels >= 0).sum())
            told = [f"{wrong:,.0f} wrong{kind}" for wrong, kind in _wrong(scores)]
            print(f"test: {' and '.join(told)} of {known:,} images ({scores['test/error']:.2%}), update {step}")

    # What

    def _look_once(self, trainer: Trainer, model: SemiSupervisedGAN) -> None:
        step = trainer.global_step
        if self.data is None or (self.last and self.last[1] == step):
            return
        with averaged(trainer, model):
            counts = confusion(model, self.data)
            pictures = {"confusion": confusion_matrix(counts, self.names)}
            if model.unsupervised:
                pictures["samples_classes"] = model.keyed(partial(classes, model), "test_error")
        scores = _scores(counts, "")
        if find_ema(trainer) is not None:
            scores |= _scores(confusion(model, self.data), "_raw")
        model.publish(scores)
        self.last = (scores, step)
        if trainer.is_global_zero:
            self._show(trainer, pictures)

    def _show(self, trainer: Trainer, pictures: dict[str, Image.Image]) -> None:
        folder, step = Path(trainer.default_root_dir), trainer.global_step
        names = {"confusion": "confusion.png", "samples_classes": f"samples/classes/step_{step:06d}.png"}
        for key, picture in pictures.items():
            path = folder / names[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            save(picture, path)
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    logger.log_image(key=key, images=[picture], step=step)

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"last": self.last}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last = state_dict["last"]


def confusion(model: SemiSupervisedGAN, data: Samples) -> Tensor:
    """How many labelled samples of each class, by row, are told to be of which, by column: ``(K, K)`` int64."""
    counts = torch.zeros(model.num_classes, model.num_classes, dtype=torch.int64)
    for start in range(0, len(data), AT_ONCE):
        batch = data.__getitems__(range(start, min(start + AT_ONCE, len(data))))
        known = batch["label"] >= 0
        told = model.predict(batch["image"][known])[0].argmax(1).cpu()
        counts.index_put_((batch["label"][known], told), torch.tensor(1), accumulate=True)
    return counts


def classes(model: SemiSupervisedGAN) -> Image.Image:
    """The first samples of each class by the model's own opinion, a column a class."""
    samples = model.sample(SAMPLES)
    told = model.predict(samples)[0].argmax(1)
    columns = []
    for number in range(model.num_classes):
        own = samples[told == number][:ROWS]
        columns.append(torch.cat([own, samples.new_ones(ROWS - len(own), *samples.shape[1:])]))
    return grid(torch.stack(columns, 1).flatten(0, 1), model.num_classes)


def _scores(counts: Tensor, kind: str) -> dict[str, float]:
    wrong = int(counts.sum() - counts.trace())
    return {f"test/error{kind}": wrong / int(counts.sum()), f"test/wrong{kind}": float(wrong)}


def _wrong(scores: dict[str, float]) -> list[tuple[float, str]]:
    """How many are wrong, and with which weights."""
    raw = scores.get("test/wrong_raw")
    return [(scores["test/wrong"], "")] if raw is None else [(scores["test/wrong"], ""), (raw, " with the raw weights")]
