"""DCGAN on Fashion-MNIST at 32 pixels: fid/digits along the run, best and last, and the picture of the end.

    python benchmarks/fashion.py --root FOLDER --seeds 0 --picture docs/models/fashion.png

`fid/digits` has the features of a small digits classifier: a toy that compares runs with each other, and nothing else.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

from lit_gans.callbacks.csv import read_metrics

TRAIN = Path(__file__).parents[1] / "train.py"


def main() -> None:
    """Prints the score at every look, then the best and the last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of the data set, as data.root")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--picture", type=Path, help="where to put the last grid of the last seed")
    parser.add_argument("options", nargs="*", help="more options of train.py")
    arguments = parser.parse_args()
    print(machine())
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            options = ["experiment=fashion", f"data.root={arguments.root}", f"seed={seed}", "logger=csv"]
            start = time.perf_counter()
            command = [sys.executable, str(TRAIN), *options, *arguments.options, f"hydra.run.dir={folder}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            minutes = (time.perf_counter() - start) / 60
            rows = [row for row in read_metrics(Path(folder, "metrics.csv")) if row.get("fid/digits")]
            if arguments.picture:
                shutil.copy(sorted(Path(folder, "samples").glob("*.png"))[-1], arguments.picture)
        scores = {int(float(row["step"])): float(row["fid/digits"]) for row in rows}
        print(f"seed {seed}: " + ", ".join(f"{score:.1f} at {step}" for step, score in scores.items()))
        best = min(scores, key=lambda step: scores[step])
        last = max(scores)
        print(
            f"seed {seed}: best {scores[best]:.2f} at {best}, last {scores[last]:.2f} at {last}, {minutes:.1f} minutes"
        )


if __name__ == "__main__":
    main()
