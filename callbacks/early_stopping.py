"""The end of a run that no longer gets better."""

from typing import Any, Literal

from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override


class EarlyStopping(Callback):
    """Ends training once a published score has not improved for so many looks at it.

    Lightning's callback of this name looks at the end of epochs, or of validations. This one looks whenever the score
    is published anew; put it after the callback that does. A score that is NaN is no improvement. A run that goes on
    from a checkpoint goes on counting.

    Args:
        monitor: name of the score, as it is published: ``fid/digits``, ``modes/captured``, ``watch/diversity``.
        mode: ``min`` if a low score is good, ``max`` if a high one is.
        patience: looks in a row without an improvement that end the run.
        min_delta: by how much a score must be better than the best, at least, to be an improvement.

    Attributes:
        best: the best score so far and its update; None before the first.
        looks: looks since then.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self, monitor: str, mode: Literal["min", "max"] = "min", patience: int = 5, min_delta: float = 0.0
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}.")
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}.")
        if min_delta < 0:
            raise ValueError(f"min_delta must be at least 0, got {min_delta}.")
        self.monitor, self.mode, self.patience, self.min_delta = monitor, mode, patience, min_delta
        self.best: tuple[float, int] | None = None
        self.looks = 0
        self.stopped_at: int | None = None
        self._seen: Any = None

    # When

    @override
    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self.best, self.looks, self.stopped_at, self._seen = None, 0, None, None

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        value = trainer.callback_metrics.get(self.monitor)
        # A new tensor is a new look, if with an old number.
        if value is None or value is self._seen:
            return
        self._seen = value
        if self._improves(float(value)):
            self.best, self.looks = (float(value), trainer.global_step), 0
        else:
            self.looks += 1
        # The processes of a run may disagree about a last digit, and must not about the end.
        if trainer.strategy.reduce_boolean_decision(self.looks >= self.patience, all=False):
            self.stopped_at, trainer.should_stop = trainer.global_step, True

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self._seen is None:
            known = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            rank_zero_warn(f"Training could not stop early: {self.monitor!r} was never published, but {known} was.")

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self.stopped_at is not None and trainer.is_global_zero:
            print(f"Stopped early at update {self.stopped_at}: {self._reason()}.")

    # What

    def _improves(self, score: float) -> bool:
        if self.best is None:
            return score == score
        better = self.best[0] - score if self.mode == "min" else score - self.best[0]
        return better > 0 and better >= self.min_delta

    def _reason(self) -> str:
        looks = f"in the last {self.looks} looks" if self.looks > 1 else "in the last look"
        if self.best is None:
            return f"{self.monitor} was no number {looks}"
        margin = f" by {self.min_delta:g}" if self.min_delta else ""
        best, step = self.best
        return f"{self.monitor} has not improved{margin} {looks}; the best was {best:.4g} at update {step}"

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "looks": self.looks}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.looks = state_dict["best"], state_dict["looks"]
