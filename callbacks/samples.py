"""The same few samples drawn again and again: what one watches a GAN by."""

from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate
from typing_extensions import override

from lit_gans import Sampler
from lit_gans.callbacks.ema import averaged, find_ema
from lit_gans.callbacks.images import animate, columns_for, grid, plane, save
from lit_gans.data.points import PointDataModule
from lit_gans.texts import FromTexts

MAX_CLASS_COLUMNS = 16
STATE = ("drawn", "columns", "latent", "condition")


class SampleGrid(Callback):
    """Draws samples of a fixed latent and fixed conditions after the first update, every so many, and at the end.

    Writes ``samples/step_000123.png`` under the run's folder, from the average where the trainer has an
    :class:`~lit_gans.callbacks.ema.EMA` and then from the raw weights as ``samples/raw/step_000123.png``; other
    views of the same samples, such as LAPGAN's coarser levels, in folders of their names; besides, ``reals.png`` once
    and ``progress.gif`` now and then and at the end. A class-conditional model's grid has a class in each column; under
    an image of a text stands the text. Points in the plane, or on a line, are shown as a density beside a scatter plot
    over the real ones.
    Every logger that takes pictures gets the same ones, as ``samples``, ``samples_raw`` and ``reals``, and one that has
    ``log_captions`` a table of texts and images. A resumed run goes on with the same latent and conditions.

    Args:
        every: generator updates between two grids.
        n: images of a grid; a class-conditional model's is cut to whole rows.
        points: samples of a density and a scatter plot.

    Raises:
        ValueError: if an option is below 1, or the model's samples can be drawn in neither way.
    """

    def __init__(self, every: int = 200, n: int = 64, points: int = 1000) -> None:
        for name, value in (("every", every), ("n", n), ("points", points)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.every, self.n, self.points = every, n, points
        self.drawn = 0
        self.columns = 0
        self.centres: Tensor | None = None
        self.latent = torch.empty(0)
        self.condition: Tensor | None = None

    # When

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        shape = pl_module.sample_shape
        if shape is not None and not _is_point(pl_module) and (len(shape) != 3 or shape[0] not in (1, 3)):
            raise ValueError(
                f"SampleGrid draws images of 1 or 3 channels and points of 1 or 2 coordinates, but "
                f"{type(pl_module).__name__} makes samples of the shape {tuple(shape)}: leave it out of the callbacks."
            )
        data: Any = getattr(trainer, "datamodule", None)
        self.centres = data.centres if isinstance(data, PointDataModule) else None

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        step = trainer.global_step
        if step != self.drawn and (step == 1 or step % self.every == 0):
            self._draw(trainer, pl_module)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.global_step != self.drawn:
            self._draw(trainer, pl_module)
        if trainer.is_global_zero:
            try:
                self._animate(trainer)
            except Exception as error:  # the run is done: a film that cannot be made must not cost its results
                rank_zero_warn(f"progress.gif could not be written: {type(error).__name__}: {error}")

    # What

    def _draw(self, trainer: Trainer, model: Sampler) -> None:
        self.drawn = trainer.global_step
        if not trainer.is_global_zero:
            return
        if not len(self.latent):
            self._fix(model)
        folder, name = Path(trainer.default_root_dir), f"step_{self.drawn:06d}.png"
        reals = self._reals(trainer, model)
        if reals is not None and not (folder / "reals.png").exists():
            picture = plane(None, reals, self.centres) if _is_point(model) else grid(reals, self.columns)
            self._show(trainer, picture, "reals", "reals.png")
        with averaged(trainer, model):
            self._show(trainer, self._picture(model, reals), "samples", f"samples/{name}")
            self._list(trainer, model)
            for view, more in model.views.items():
                self._show(trainer, self._picture(model, reals, **more), f"samples_{view}", f"samples/{view}/{name}")
        if find_ema(trainer) is not None:
            self._show(trainer, self._picture(model, reals), "samples_raw", f"samples/raw/{name}")
        drawings = len(_drawings(folder, self.drawn))
        if drawings & (drawings - 1) == 0:  # a power of two: all films together cost twice the last one
            self._animate(trainer)

    def _fix(self, model: Sampler) -> None:
        """Chooses latent, conditions and columns, for good."""
        n = self.points if _is_point(model) else self.n
        self.columns = columns_for(n)
        condition = model.keyed(lambda: model.sample_condition(n), "samples", "condition")
        if condition is not None and condition.dim() == 1 and not condition.is_floating_point():
            classes = int(getattr(model, "num_classes", 0))
            if 1 < classes <= MAX_CLASS_COLUMNS:
                n, self.columns = max(1, n // classes) * classes, classes
            condition = torch.arange(n) % classes if classes else condition.sort().values
        self.latent = model.keyed(lambda: model.sample_latent(n), "samples", "latent").cpu()
        self.condition = None if condition is None else condition.cpu()

    def _picture(self, model: Sampler, reals: Tensor | None, **more: Any) -> Image.Image:
        samples = self._samples(model, **more)
        if samples.dim() == 2:
            return plane(samples, reals, self.centres)
        return grid(samples, self.columns, self._captions(model))

    def _samples(self, model: Sampler, **more: Any) -> Tensor:
        n, latent, condition = len(self.latent), self.latent, self.condition
        # Under a key: a generator that draws noise of its own draws the same each time, and disturbs nobody's.
        return model.keyed(lambda: model.sample(n, latent=latent, condition=condition, **more), "samples", "noise")

    def _captions(self, model: Sampler) -> list[str]:
        return [] if self.condition is None or not isinstance(model, FromTexts) else model.captions_of(self.condition)

    def _list(self, trainer: Trainer, model: Sampler) -> None:
        """Gives the texts and their images to the loggers that take tables of them."""
        loggers, captions = [own for own in trainer.loggers if hasattr(own, "log_captions")], self._captions(model)
        if loggers and captions:
            tiles = [grid(sample[None]) for sample in self._samples(model)]
            for logger in loggers:
                logger.log_captions(key="captions", captions=captions, images=tiles, step=self.drawn)

    def _reals(self, trainer: Trainer, model: Sampler) -> Tensor | None:
        """Real samples, the same each time; None where the data set is not known."""
        dataset: Any = getattr(getattr(trainer, "datamodule", None), "train_dataset", None)
        if dataset is None:
            return None
        n = min(len(self.latent), len(dataset))
        indices = model.keyed(lambda: torch.randperm(len(dataset))[:n].tolist(), "samples", "reals")
        items = dataset.__getitems__(indices) if hasattr(dataset, "__getitems__") else [dataset[i] for i in indices]
        reals: Tensor = (items if isinstance(items, dict) else default_collate(items))["image"]
        return reals

    def _show(self, trainer: Trainer, picture: Image.Image, key: str, name: str) -> None:
        path = Path(trainer.default_root_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(picture, path)
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image(key=key, images=[picture], step=self.drawn)

    def _animate(self, trainer: Trainer) -> None:
        folder = Path(trainer.default_root_dir)
        if paths := _drawings(folder, self.drawn):
            animate(paths, folder / "progress.gif")

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STATE}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in STATE:
            setattr(self, name, state_dict[name])


def _is_point(model: Sampler) -> bool:
    return model.sample_shape is not None and tuple(model.sample_shape) in ((1,), (2,))


def _drawings(folder: Path, last: int) -> list[Path]:
    """The grids on disk, the oldest first; none from a run that had come further than this one has yet."""
    steps = {int(path.stem.removeprefix("step_")): path for path in folder.glob("samples/step_*.png")}
    return [steps[step] for step in sorted(steps) if step <= last]
