"""Weights & Biases: online with a key, offline without one, every row on the step that everything shares."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import Callback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

Mode = Literal["online", "offline", "disabled"]


def _has_key() -> bool:
    """Whether wandb finds credentials (environment, netrc or its settings), without asking for them.

    Raises:
        wandb.errors.Error: if it finds some that cannot be right.
    """
    import wandb

    if "prompt" in inspect.signature(wandb.login).parameters:
        return bool(wandb.login(prompt=False, verify=False))
    return bool(wandb.api.api_key)


class WandbRun(WandbLogger):
    """One run on W&B, finished at the end of each `fit`, so that the next one in the process begins its own.

    Numbers and pictures of one step share one row, and the row carries the step thrice: as `step`,
    `trainer/global_step` and W&B's own `_step`, along which it lays pictures.

    Args:
        save_dir: folder for W&B's files, those of an offline run too.
        project: on W&B.
        entity: the user or team on W&B; None is the key's own.
        mode: None is what `WANDB_MODE` or `wandb offline` say, else online with an API key and offline without.
        name: of the run; None lets W&B invent one.
        id: of the run to go on with; None begins a new one.
        group: of runs on W&B.
        tags: of the run.
        notes: on the run.
        timeout: seconds to wait for the server before the run is kept offline.
        options: more of `wandb.init`, by name.
        experiment: a run that was begun already; it is not finished either.

    Raises:
        ValueError: for an unknown `mode`.
    """

    def __init__(
        self,
        *,
        save_dir: str,
        project: str = "lit-gans",
        entity: str | None = None,
        mode: Mode | None = None,
        name: str | None = None,
        id: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        timeout: float = 30.0,
        options: dict[str, Any] | None = None,
        experiment: Any = None,
    ) -> None:
        if mode not in (None, "online", "offline", "disabled"):
            raise ValueError(f"The mode of W&B is online, offline, disabled or null (by the API key), got {mode!r}.")
        super().__init__(name=name, save_dir=save_dir, id=id, project=project, experiment=experiment)
        self.mode, self.timeout = mode, timeout
        self.options = {"entity": entity, "group": group, "tags": tags, "notes": notes, **(options or {})}
        self.ours = experiment is None
        self.counter: int = 0 if experiment is None else experiment.step

    @property
    @override
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run; the first use begins it."""
        if self._experiment is None:
            self._experiment = self._begin()
            self._id, self.counter = self._experiment.id, self._experiment.starting_step
        return self._experiment

    def _begin(self) -> Any:
        import wandb

        if wandb.run is not None:
            # wandb.init would hand out the run that is still open, and two runs would be one.
            wandb.run.finish()
        Path(self.save_dir or ".").mkdir(parents=True, exist_ok=True)
        mode, reason = self.mode, "as asked"
        try:
            if mode is None:
                mode, reason = self._choose()
            run = self._init(mode)
        except wandb.errors.Error as error:
            mode, reason = "offline", f"it cannot be reached: {str(error).splitlines()[0].rstrip('.')}"
            run = self._init(mode)
        if mode == "offline":
            print(
                f"W&B is offline ({reason}). To upload this run: wandb login && wandb sync {Path(run.dir).parent}",
                flush=True,
            )
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        return run

    @staticmethod
    def _choose() -> tuple[Mode, str]:
        import wandb

        configured = wandb.setup().settings.mode
        if configured in ("offline", "dryrun"):
            return "offline", "WANDB_MODE or its settings say so"
        if configured == "disabled":
            return "disabled", ""
        return ("online", "") if _has_key() else ("offline", "no API key was found")

    def _init(self, mode: Mode) -> Any:
        import wandb

        settings = wandb.Settings(init_timeout=self.timeout, silent=mode != "online")
        known = {"project": self._project, "name": self._name, "id": self._id, "dir": self.save_dir}
        return wandb.init(**{"settings": settings, "resume": "allow", **known, **self.options, "mode": mode})

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        run = self.experiment
        if step is None:
            run.log(dict(metrics))
            return
        row = {**metrics, "step": step, "trainer/global_step": step}
        if step >= self.counter:
            run.log(row, step=step)
            self.counter = step
        else:
            # A run that is gone on with from an older step: W&B would drop rows below its own counter.
            run.log(row)
            self.counter += 1

    @override
    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Logs pictures: PIL images, files, or uint8 arrays and tensors.

        Raises:
            ValueError: for other numbers, which W&B turns black without a word.
        """
        for image in images:
            kind = str(getattr(image, "dtype", "uint8"))
            if not kind.endswith("uint8"):
                raise ValueError(
                    f"W&B shows pictures of {kind} black: {key!r} must be PIL images or uint8 "
                    "(lit_gans.callbacks.images.to_uint8 makes them)."
                )
        super().log_image(key, images, step, **kwargs)

    @rank_zero_only
    def log_captions(self, key: str, captions: Sequence[str], images: Sequence[Any], step: int | None = None) -> None:
        """Logs a table of texts, each beside a picture of it, a PIL image."""
        import wandb

        rows = [[caption, wandb.Image(image)] for caption, image in zip(captions, images, strict=True)]
        self.log_table(key, columns=["caption", "image"], data=rows, step=step)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self.ours and self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None

    @override
    def __getstate__(self) -> dict[str, Any]:
        """Without the run: another process goes on with it by its id."""
        return {**self.__dict__, "_experiment": None}


class WandbId(Callback):
    """Keeps the id of the run in checkpoints, as `wandb_id`, so that resuming goes on with the same run."""

    def __init__(self) -> None:
        self.id: str | None = None

    @override
    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, WandbRun):
                self.id = logger.version or self.id
        if self.id is not None:
            checkpoint["wandb_id"] = self.id

    @override
    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.id = checkpoint.get("wandb_id")
