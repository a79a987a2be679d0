"""`report.html`: a whole run on one page that opens anywhere, with nothing to fetch."""

import platform
import shlex
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch import Callback
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from typing_extensions import override

from lit_gans.callbacks.csv import read_metrics
from lit_gans.callbacks.images import aside
from lit_gans.callbacks.page import Summary, render


class Report(Callback):
    """Writes `report.html` into the run's folder when training ends, is interrupted or fails.

    It shows the curves of `metrics.csv`, the pictures of `samples/` and `reals.png`, the best and last scores, the
    configuration and the command, whichever of them there are. A report that cannot be written is a warning.

    Args:
        command: what starts the same run again; None is this process's own command line.
    """

    def __init__(self, *, command: str | None = None) -> None:
        self.command = command
        self.started_at: float | None = None

    @override
    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.started_at = time.monotonic()

    @override
    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        # Later than on_fit_end, where other callbacks may still draw and score.
        if stage == "fit":
            self._write(trainer, pl_module, "Stopped early" if trainer.should_stop else "Finished")

    @override
    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        interrupted = isinstance(exception, KeyboardInterrupt | SIGTERMException)
        self._write(trainer, pl_module, "Interrupted" if interrupted else f"Failed with {type(exception).__name__}")

    def _write(self, trainer: lightning.Trainer, model: Any, ending: str) -> None:
        if self.started_at is None or not trainer.is_global_zero:
            return
        seconds, self.started_at = time.monotonic() - self.started_at, None
        try:
            for logger in trainer.loggers:
                logger.save()
            page = render(self._summary(trainer, model, ending, seconds))
            with aside(Path(trainer.default_root_dir) / "report.html") as part:
                part.write_text(page, encoding="utf-8")
        except Exception as error:
            rank_zero_warn(f"report.html could not be written ({type(error).__name__}: {error}).")

    def _summary(self, trainer: lightning.Trainer, model: Any, ending: str, seconds: float) -> Summary:
        folder, recipe = Path(trainer.default_root_dir), model.recipe()
        data: Any = getattr(trainer, "datamodule", None)
        name, *tricks = (path.split(":")[-1] for path in (recipe["model"], *recipe["tricks"]))
        config = folder / "config.yaml"
        options = [f"{key}: {value}" for key, value in sorted(model.hparams.items())]
        return Summary(
            folder=folder,
            title=name if data is None else f"{name} on {type(data).__name__}",
            tricks=tricks,
            data=data.describe() if hasattr(data, "describe") else "",
            ending=f"{ending} after {trainer.global_step:,} updates",
            seconds=seconds,
            images=model.images_seen,
            rows=read_metrics(folder / "metrics.csv"),
            modes=_modes(trainer),
            command=self.command or _own_command(),
            configuration=config.read_text(encoding="utf-8") if config.is_file() else "\n".join(options),
            facts=_facts(trainer),
        )


def _own_command() -> str:
    script = ["python", sys.argv[0]] if sys.argv[0].endswith(".py") else [Path(sys.argv[0]).name]
    return shlex.join([*script, *sys.argv[1:]])


def _modes(trainer: lightning.Trainer) -> dict[str, str]:
    """Whether low or high is good, of the scores that a callback watches."""
    watchers: list[Any] = [callback for callback in trainer.checkpoint_callbacks if getattr(callback, "monitor", None)]
    return {watcher.monitor: watcher.mode for watcher in watchers if hasattr(watcher, "mode")}


def _facts(trainer: lightning.Trainer) -> list[str]:
    devices = f"{trainer.world_size} devices, " if trainer.world_size > 1 else ""
    return [
        datetime.now().astimezone().strftime("%d %b %Y, %H:%M"),
        *(f"{package} {version(package)}" for package in ("lit-gans", "lightning", "torch")),
        f"Python {platform.python_version()}",
        f"{devices}{trainer.strategy.root_device.type}, {trainer.precision}",
    ]
