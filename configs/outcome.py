"""What a person wants to know when a run is over."""

from lightning.pytorch.utilities import rank_zero_only

from lit_gans.configs.check import Config
from lit_gans.configs.errors import shown


@rank_zero_only
def report(config: Config) -> None:
    """Prints where the run is, what there is to look at, and how to use the model."""
    folder = shown(config["run_dir"])
    print(f"Run      {folder}")
    pictures = [name for name in ("samples", "progress.gif", "report.html") if (folder / name).exists()]
    if pictures:
        print(f"Look at  {', '.join(pictures)}")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if checkpoint.exists():
        print(f"Use it   lit_gans.load({str(checkpoint)!r}).sample(16)")
