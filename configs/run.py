"""The fit of a run, and what happens right before it, on every device's process."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import OmegaConf
from typing_extensions import override

from lit_gans import Sampler
from lit_gans.configs.check import Config
from lit_gans.configs.errors import TERMINATED, Refusal, first_process, shown
from lit_gans.configs.resume import LAST
from lit_gans.data.base import DataModule
from lit_gans.optim import build_optimizer, build_schedule

REFUSALS = (ValueError, TypeError, OSError, ImportError, NotImplementedError, MisconfigurationException)
"""What an impossible wish ends in while objects are made; once training has begun they are errors like all others."""


class Start(Callback):
    """Makes sure that a model and its data go together, and writes `config.yaml` when training begins.

    Attributes:
        happened: whether training has begun.
        met: whether the model and the data are known to go together.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.happened = self.met = False

    def look_ahead(self, model: Sampler, data: LightningDataModule) -> None:
        """Sets up data of this library before a logger begins a run; other processes leave that to Lightning."""
        if first_process() and isinstance(data, DataModule):
            data.prepare_data()
            data.setup("fit")
            self.meet(model, data)

    def meet(self, model: Sampler, data: Any) -> None:
        """Refuses what cannot work, and says what the data are.

        Args:
            model: of which every player's optimizer and schedule is tried.
            data: set up.

        Raises:
            ValueError: if they cannot be trained together.
        """
        if not model.learns_labels:
            check_labels(getattr(model, "num_classes", 0), getattr(data, "num_classes", 0))
            check_hidden(getattr(model, "num_classes", 0), getattr(data, "train_dataset", None))
        check_shape(model.sample_shape, getattr(data, "shape", None))
        model.check_data(data)
        for player in model.players():
            moved = [parameter for network in player.networks for parameter in network.parameters()]
            optimizer = build_optimizer(player.optimizer, moved)
            build_schedule(player.schedule, optimizer, self.config["trainer"].get("max_steps", -1))
        if first_process() and hasattr(data, "describe"):
            print(data.describe(), flush=True)
        self.met = True

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not self.met:
            self.meet(cast(Sampler, pl_module), trainer.datamodule)  # type: ignore[attr-defined]

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.happened = True
        write_config(self.config)


def check_labels(wanted: int, found: int) -> None:
    """Makes sure that the data's labels are those that a model conditions on.

    Args:
        wanted: classes of the model; 0 for an unconditional one.
        found: classes of the data; 0 for unlabelled data.

    Raises:
        ValueError: if they are not.
    """
    if wanted and not found:
        raise ValueError(f"model.num_classes={wanted} needs labels, and the data have none: use model.num_classes=0.")
    if wanted and found > wanted:
        raise ValueError(
            f"The data have {found} classes, more than model.num_classes={wanted}: use model.num_classes={found}, or 0 "
            "for a model without condition."
        )


def check_hidden(wanted: int, dataset: Any) -> None:
    """Makes sure that a model which conditions on labels sees all of them.

    Args:
        wanted: classes of the model; 0 for an unconditional one.
        dataset: its training set.

    Raises:
        ValueError: if some are hidden.
    """
    labels = getattr(dataset, "labels", None)
    if wanted and labels is not None and bool((labels < 0).any()):
        raise ValueError(
            f"model.num_classes={wanted} conditions on labels, and {int((labels < 0).sum()):,} of the {len(labels):,} "
            "samples have none: leave out data.num_labelled, or use model=semi_supervised, which learns from few."
        )


def check_shape(made: tuple[int, ...] | None, found: tuple[int, ...] | None) -> None:
    """Makes sure that a model makes samples of the data's shape; None is not known.

    Raises:
        ValueError: if it does not.
    """
    if made is not None and found is not None and tuple(made) != tuple(found):
        kinds = {1: "points: data=rings or data=grid", 3: "images: data=digits, for one"}
        hint = f" It takes {kinds[len(made)]}." if len(made) != len(found) and len(made) in kinds else ""
        raise ValueError(f"The model makes samples of the shape {made}, but the data's have {tuple(found)}.{hint}")


def set_threads(threads: int | None) -> None:
    """Lets torch use so many threads on the CPU; as many as it likes if None."""
    if threads is not None:
        torch.set_num_threads(threads)


@rank_zero_only
def write_config(config: Config) -> None:
    """Writes what runs, and the command that started it, into the run's folder."""
    folder = Path(config["run_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]).replace("\n", " ")
    (folder / "config.yaml").write_text(f"# {command}\n{OmegaConf.to_yaml(config)}", encoding="utf-8")


@contextmanager
def refusing(*, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Makes refusals of the exceptions that impossible wishes end in.

    Args:
        unless: whether it is too late for that.

    Raises:
        Refusal: with the message of the exception.
    """
    try:
        yield
    except REFUSALS as error:
        if isinstance(error, Refusal) or unless():
            raise
        where = "" if isinstance(error, ValueError | OSError | MisconfigurationException) else " (DEBUG=1 shows where)"
        raise Refusal(f"{str(error).strip() or type(error).__name__}{where}") from error


def check_sweep(trainer: Trainer) -> None:
    """Makes sure that a process has one run if it has others beside it.

    Raises:
        Refusal: if several runs are to be made by several processes.
    """
    if trainer.world_size > 1 and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise Refusal(
            "-m starts its runs one after another in one process, and several devices need a process each: start them "
            "without -m, or with trainer.devices=1."
        )


def fit(trainer: Trainer, model: LightningModule, data: LightningDataModule, checkpoint: str | None) -> None:
    """Trains to the end.

    Args:
        trainer: with a :class:`Start` among its callbacks.
        model: to train.
        data: to train on.
        checkpoint: path of the one to go on from.

    Raises:
        Refusal: if training cannot begin as asked.
        KeyboardInterrupt: after Ctrl-C.
        SystemExit: after SIGTERM.
    """
    start = next(callback for callback in trainer.callbacks if isinstance(callback, Start))  # type: ignore[attr-defined]
    try:
        with refusing(unless=lambda: start.happened):
            check_sweep(trainer)
            trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    except SIGTERMException:
        if first_process():
            print(_stopped(start.config, "by SIGTERM"), file=sys.stderr)
        raise SystemExit(TERMINATED) from None
    except SystemExit as end:
        # Lightning makes this of Ctrl-C.
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt(_stopped(start.config, "by Ctrl-C")) from None
        raise


def _stopped(config: Config, how: str) -> str:
    folder = Path(config["run_dir"]) / LAST.parent
    if (folder / LAST.name).exists():
        return f"Stopped {how}. ckpt_path=last goes on from {shown(folder / LAST.name)}"
    saved = sorted(folder.glob("*.ckpt"))
    return f"Stopped {how}. " + (f"What there is of it: {shown(saved[0])}" if saved else "There is no checkpoint yet.")
