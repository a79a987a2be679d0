"""What `python train.py` learns: are its samples digits, are they all ten, and is the digit that was asked for drawn?

    python benchmarks/digits.py --seeds 0 1 2
    python benchmarks/digits.py --seeds 0 1 2 --conditional --picture docs/models/dcgan_digits_conditional.png

Each seed is a run of train.py in a process of its own; then 1,000 samples of the averaged weights of its last
checkpoint are read by the classifier of `lit_gans.metrics.digits`, which no run trains against and whose held-out
digits are read beside. Nothing is selected: the last checkpoint is the result.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from machine import machine

import lit_gans
from lit_gans.callbacks.csv import read_metrics
from lit_gans.data import Digits
from lit_gans.metrics.digits import TRAIN_IMAGES, DigitsClassifier, class_shares, confident_share

TRAIN = Path(__file__).parents[1] / "train.py"
SAMPLES = 1000


def run(seed: int, conditional: bool, more: list[str], picture: Path | None) -> dict[str, float]:
    """Trains once and reads the samples; the last grid goes to ``picture``."""
    with tempfile.TemporaryDirectory() as folder:
        options = [*(["experiment=conditional_digits"] if conditional else []), f"seed={seed}", *more]
        command = [sys.executable, str(TRAIN), *options, "logger=csv", f"hydra.run.dir={folder}"]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        model = lit_gans.load(Path(folder, "checkpoints", "last.ckpt"))
        if picture:
            shutil.copy(sorted(Path(folder, "samples").glob("*.png"))[-1], picture)
        scores = [
            float(row["fid/digits"]) for row in read_metrics(Path(folder, "metrics.csv")) if row.get("fid/digits")
        ]
    torch.manual_seed(seed)
    label = torch.arange(SAMPLES) % 10 if conditional else None
    probabilities = DigitsClassifier.pretrained().probabilities(model.sample(SAMPLES, condition=label))
    figures = {
        "p > 0.9": confident_share(probabilities),
        "rarest digit": float(class_shares(probabilities).min()),
        "fid/digits best": min(scores),
        "fid/digits last": scores[-1],
        "seconds": seconds,
    }
    if label is not None:
        figures["read back"] = float((probabilities.argmax(1) == label).float().mean())
    return figures


def held_out(image_size: int) -> float:
    """The confident share of real digits that the classifier did not learn from."""
    data = Digits(image_size=image_size)
    data.setup("fit")
    images = data.train_dataset.__getitems__(list(range(TRAIN_IMAGES, len(data.train_dataset))))["image"]
    return confident_share(DigitsClassifier.pretrained().probabilities(images))


def main() -> None:
    """Prints a row for each seed, then mean and standard deviation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--conditional", action="store_true")
    parser.add_argument("--picture", type=Path, help="where to put the last grid of the last seed")
    parser.add_argument("options", nargs="*", help="more options of train.py")
    arguments = parser.parse_args()
    print(machine())
    print(f"held-out real digits with p > 0.9 at 16 pixels: {held_out(16):.3f}")
    rows = []
    for seed in arguments.seeds:
        rows.append(run(seed, arguments.conditional, arguments.options, arguments.picture))
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in rows[-1].items()), flush=True)
    for name in rows[0]:
        values = [row[name] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: {statistics.mean(values):.3f} ± {spread:.3f} over {len(values)} seeds")


if __name__ == "__main__":
    main()
