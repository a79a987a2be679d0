"""What a person wants to know when a run is over."""

from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_only

from lit_gans import Sampler
from lit_gans.callbacks.collapse import CollapseWatch
from lit_gans.callbacks.finite import broken_players
from lit_gans.checkpoint import read
from lit_gans.configs.check import Config
from lit_gans.configs.errors import Failure, shown
from lit_gans.configs.resume import LAST


@rank_zero_only
def report(config: Config) -> None:
    """Prints where the run is, what there is to look at, and how to use the model."""
    folder = shown(config["run_dir"])
    print(f"Run      {folder}")
    pictures = [name for name in ("samples", "progress.gif", "report.html") if (folder / name).exists()]
    if pictures:
        print(f"Look at  {', '.join(pictures)}")
    checkpoint = folder / LAST
    if checkpoint.exists():
        print(f"Use it   lit_gans.load({str(checkpoint)!r}).sample(16)")


def check(config: Config, trainer: Trainer, model: Sampler) -> None:
    """Makes sure that a run ended with numbers.

    Raises:
        Failure: if it broke down; the message says where it can go on from.
    """
    watchers = [callback for callback in trainer.callbacks if isinstance(callback, CollapseWatch)]  # type: ignore[attr-defined]
    if not broken_players(model) and not any(watcher.broken for watcher in watchers):
        return
    checkpoint = shown(config["run_dir"]) / LAST
    left = "There is no checkpoint from before."
    if checkpoint.exists():
        step = read(checkpoint)["global_step"]
        left = f"The last good checkpoint is {checkpoint}, of update {step}: ckpt_path=last goes on from it."
    raise Failure(f"The run broke down at update {trainer.global_step}. {left}")
