"""What benchmarks of whole trainings share: runs that are measured on the way, and go on where they were stopped."""

import json
import statistics
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

QUIET: dict[str, Any] = {
    **{"logger": False, "enable_checkpointing": False, "enable_progress_bar": False},
    **{"enable_model_summary": False, "use_distributed_sampler": False},
}
"""Of a trainer that says nothing."""


class Look(Callback):
    """Measures now and then, and at the end; the time that this takes does not count.

    Writes ``path``, the facts and all rows, and beside it a checkpoint, which has the rows, too.

    Args:
        path: of the results, ``.json``.
        every: updates from look to look.
        facts: about the run.

    Raises:
        SystemExit: if there is a run of that name with other settings.
    """

    def __init__(self, path: Path, every: int, facts: dict[str, Any]) -> None:
        self.path, self.every, self.facts, self.checkpoint = path, every, facts, path.with_suffix(".ckpt")
        self.looks: list[dict[str, Any]] = []
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        before = json.loads(path.read_text()) if path.exists() else {}
        others = [name for name in facts if name != "machine" and before.get(name, facts[name]) != facts[name]]
        if others:
            raise SystemExit(
                f"{path} is of a run with another {', '.join(others)}: remove it, or choose another --out."
            )

    @property
    def last(self) -> str | None:
        """The checkpoint to go on from."""
        return str(self.checkpoint) if self.checkpoint.exists() else None

    def measure(self, trainer: Any, model: Any) -> dict[str, Any]:
        """What a row has besides the updates and the minutes."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The rows."""
        return {"looks": self.looks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Those of the run that goes on."""
        self.looks = state_dict["looks"]

    @property
    def minutes(self) -> dict[str, float]:
        """Of the run so far, by the clock and of this process."""
        return {"minutes": (time.perf_counter() - self.wall) / 60, "cpu_minutes": (time.process_time() - self.cpu) / 60}

    def start(self, minutes: dict[str, float]) -> None:
        """Sets the clocks."""
        self.wall = time.perf_counter() - 60 * minutes["minutes"]
        self.cpu = time.process_time() - 60 * minutes["cpu_minutes"]

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Starts the clocks, at what an earlier part of the run took."""
        self.start(self.looks[-1] if self.looks else {"minutes": 0, "cpu_minutes": 0})

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Looks if it is time."""
        if trainer.global_step % self.every == 0:
            self.look(trainer, pl_module)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks."""
        if not self.looks or self.looks[-1]["updates"] != trainer.global_step:
            self.look(trainer, pl_module)

    def look(self, trainer: Any, model: Any) -> None:
        """One row, written down at once."""
        minutes = self.minutes
        self.looks.append({"updates": trainer.global_step, **minutes, **self.measure(trainer, model)})
        trainer.save_checkpoint(self.checkpoint)
        self.path.write_text(json.dumps({**self.facts, "looks": self.looks}))
        print(self.path.stem, shortened(self.looks[-1]), flush=True)
        self.start(minutes)


def shortened(row: dict[str, Any]) -> dict[str, Any]:
    """The row with few digits."""
    return {name: shortened(own) if isinstance(own, dict) else round(own, 4) for name, own in row.items()}


def spread(values: list[float]) -> str:
    """Mean and, of several, standard deviation."""
    deviation = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{deviation}"
