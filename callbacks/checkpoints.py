"""Checkpoints by generator updates and score, each of them whole at every moment."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from typing_extensions import override

from lit_gans import Games
from lit_gans.callbacks.finite import broken_players
from lit_gans.callbacks.images import aside


class Checkpoints(Checkpoint):
    """Saves everything a run needs to go on exactly, under ``checkpoints/`` in the run's folder.

    ``update_000500.ckpt`` every so many generator updates, ``update_000500-fid_digits_3.21.ckpt`` where a score of that
    update is known; ``last.ckpt``, the newest; ``best.ckpt``, the best score's, saved whenever a score is the best so
    far; where stages learn one after another, scores count once the last one does. Each file is written aside and
    renamed, so a run that is killed never leaves half a one under a name of these. A run that ends, or is interrupted
    between two batches (by SIGTERM always), brings ``last.ckpt`` up to date; one interrupted within a batch, with its
    weights half moved, writes ``interrupted.ckpt`` instead. A model whose weights hold NaN or infinity is never saved:
    the last good one stays.

    Args:
        every: generator updates between two checkpoints.
        monitor: name of the score, as it is published: ``fid/digits``; null for none.
        mode: ``min`` if a low score is good, ``max`` if a high one is.
        keep: numbered checkpoints to keep, the newest, besides the best; null for all.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, every: int = 500, monitor: str | None = None, mode: str = "min", keep: int | None = 3) -> None:
        for name, value in (("every", every), ("keep", keep)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}.")
        self.every, self.monitor, self.mode, self.keep = every, monitor, mode, keep
        self.files: list[str] = []
        self.best_file: str | None = None
        self.best_score: float | None = None
        self.folder = Path()
        self.step = self.batches_saved = 0
        self.running = self.within_batch = self.refused = False
        self._score_seen: Any = None

    # When

    @override
    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self.folder = Path(trainer.default_root_dir, "checkpoints").resolve()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.step, self.batches_saved = trainer.global_step, pl_module.batches_seen
        self.running, self.within_batch, self.refused = True, False, False
        if trainer.is_global_zero:
            for part in self.folder.glob(".*.ckpt.part"):  # of a run that was killed while it wrote
                part.unlink()

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self.within_batch = True

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        # Lightning calls checkpoint callbacks last: whatever the others did with this batch is done.
        self.within_batch = False
        if trainer.global_step != self.step:
            self.step = trainer.global_step
            self._save(trainer, pl_module, due=self.step % self.every == 0)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._save(trainer, pl_module, due=False)
        if pl_module.batches_seen != self.batches_saved and self._is_good(trainer, pl_module):
            self._write(trainer, "last.ckpt")
        trainer.strategy.barrier()  # fit returns on every rank when the files are there
        self.running = False
        if self.monitor is not None and self.best_score is None:
            known = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            early = self.monitor in trainer.callback_metrics
            when = "published before the last stage alone" if early else f"never published, but {known} was"
            rank_zero_warn(f"There is no best.ckpt: {self.monitor!r} was {when}.")

    @override
    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        # Only the first rank, which waits for no other: they may be gone.
        if not (self.running and trainer.is_global_zero and pl_module.batches_seen != self.batches_saved):
            return
        name = "interrupted.ckpt" if self.within_batch else "last.ckpt"
        try:
            if not self._is_good(trainer, pl_module):
                return
            self._write(trainer, name)
        except Exception as error:
            rank_zero_warn(f"{name} could not be written: {type(error).__name__}: {error}")
        else:
            where = "within" if self.within_batch else "after"
            rank_zero_info(f"Stopped {where} a batch at update {trainer.global_step}: see {self.folder / name}.")

    # What

    def _save(self, trainer: Trainer, model: Any, *, due: bool) -> None:
        """A numbered checkpoint if one is due or the score is the best so far."""
        score = self._new_score(trainer)
        best = score is not None and _whole(model) and self._beats(score)
        if not (due or best) or not self._is_good(trainer, model):
            return
        shown = "" if score is None else f"-{(self.monitor or '').replace('/', '_')}_{score:.4g}"
        name = f"update_{trainer.global_step:06d}{shown}.ckpt"
        # Before the file is written, so that it knows of itself.
        self.files = [*(file for file in self.files if file != name), name]
        if best:
            self.best_file, self.best_score = name, score
        self._write(trainer, name)
        if trainer.is_global_zero:
            _link(self.folder / name, self.folder / "last.ckpt")
            if best:
                _link(self.folder / name, self.folder / "best.ckpt")
        self.batches_saved = model.batches_seen
        self._prune(trainer)

    def _is_good(self, trainer: Trainer, model: Any) -> bool:
        """Whether a checkpoint of the model is worth more than the last one."""
        broken = bool(broken_players(model))
        if broken and not self.refused:
            self.refused = True
            rank_zero_warn(f"Nothing is saved from update {trainer.global_step} on: there is NaN or infinity in it.")
        return not broken

    def _new_score(self, trainer: Trainer) -> float | None:
        """The monitored score, if it was published since the last look and is a number."""
        value = None if self.monitor is None else trainer.callback_metrics.get(self.monitor)
        if value is None or value is self._score_seen:
            return None
        self._score_seen = value
        return None if math.isnan(value) else float(value)

    def _beats(self, score: float) -> bool:
        if self.best_score is None:
            return True
        return score < self.best_score if self.mode == "min" else score > self.best_score

    def _write(self, trainer: Trainer, name: str) -> None:
        # Not trainer.save_checkpoint: it goes through the system's folder for temporary files, from where a rename may
        # be a copy, and it waits for every rank, also for one that has died.
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            with aside(self.folder / name) as part, part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())

    def _prune(self, trainer: Trainer) -> None:
        kept = self.files if self.keep is None else self.files[-self.keep :]
        for file in set(self.files) - {*kept, self.best_file}:
            self.files.remove(file)
            if trainer.is_global_zero:
                (self.folder / file).unlink(missing_ok=True)

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "best_file": self.best_file,
            "best_score": self.best_score,
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A run that goes on in another folder has no files there yet, and no business with those here.
        if state_dict["folder"] == str(self.folder):
            self.files, self.best_file = state_dict["files"], state_dict["best_file"]
            self.best_score = state_dict["best_score"]


def _whole(model: Any) -> bool:
    """Whether its last stage has begun to learn: what a score says of the one before, it does not say of the model."""
    return not isinstance(model, Games) or any(model.named(model.trained()[-1]).turns_taken.values())


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name, or a copy where the file system has no hard links."""
    with aside(target) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
