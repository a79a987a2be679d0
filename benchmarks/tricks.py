"""What each trick does to a small game: trick by {ring, grid, digits}, several seeds, best and last.

    python benchmarks/tricks.py --out tricks.jsonl --seeds 0 1 2 3 4        # runs what is not in the file yet
    python benchmarks/tricks.py --out tricks.jsonl --collect               # prints the tables

Every run of one data set has the same networks, optimizers, batches and number of generator updates; only the trick
differs, with its paper's options or the ones of `OPTIONS`. The points come from the raw generator, the digits from its
moving average. Nothing is selected: `last` is the last look, `best` the best of all looks, for the reader to compare.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from hydra.utils import get_class
from lightning.pytorch.callbacks import Callback
from machine import machine
from omegaconf import OmegaConf
from runs import QUIET

from lit_gans import GAN, compose
from lit_gans.callbacks.ema import EMA, averaged
from lit_gans.data import Digits, Grid, Rings
from lit_gans.metrics.digits import DigitsClassifier, class_shares, confident_share
from lit_gans.metrics.modes import point_scores
from lit_gans.models import DCGAN, MLPGAN

TRICKS = Path(__file__).parents[1] / "configs" / "tricks"
UPDATES, LOOKS = {"ring": 2500, "grid": 2500, "digits": 300}, 5
BATCH = {"ring": 128, "grid": 128, "digits": 64}
ADAM = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
POINTS: dict[str, Any] = {
    "latent_dim": 32,
    "generator_hidden": [128, 128],
    "discriminator_hidden": [128, 128],
    "input_scale": 0.25,
    "generator_optimizer": ADAM,
    "discriminator_optimizer": ADAM,
}
FASTER = {"name": "adam", "lr": 2e-3, "betas": [0.5, 0.99]}
IMAGES: dict[str, Any] = {  # of `python train.py`, without its R1
    "image_size": 16,
    "image_channels": 1,
    "width": 8,
    "latent_dim": 32,
    "discriminator_norm": "none",
    "generator_optimizer": FASTER,
    "discriminator_optimizer": FASTER,
    "lr_schedule": {"name": "linear"},
}
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "wgan_gp": {"points": {"gp_weight": 0.1}},  # the paper's for its two-dimensional examples
    "minibatch_discrimination": {"points": {"mbd_kernels": 20, "mbd_dims": 3}},  # 128 * 128 * 60 numbers a pass
    "r1": {"digits": {"r1_gamma": 0.3}},  # as in `python train.py`
    "r2": {"digits": {"r2_gamma": 0.3}},
}
MIXED: dict[str, list[str]] = {
    "lazy + r1": ["lazy", "r1"],
    "r1 + r2": ["r1", "r2"],
    "relativistic + r1 + r2": ["relativistic", "r1", "r2"],
}
SHOWN = {
    "ring": ("captured", "high_quality", "reverse_kl"),
    "grid": ("captured", "high_quality", "reverse_kl"),
    "digits": ("p > 0.9", "rarest digit"),
}
LOWER_IS_BETTER = ("reverse_kl",)


class Look(Callback):
    """Scores the samples a few times during a run."""

    def __init__(self, data: str) -> None:
        self.data, self.every = data, UPDATES[data] // LOOKS
        self.found: list[dict[str, float]] = []
        self.reader = DigitsClassifier.pretrained() if data == "digits" else None

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Looks once at an update that is due."""
        step = trainer.global_step
        if step and step % self.every == 0 and len(self.found) < step // self.every:
            self.found.append({"update": step, **self.scores(trainer, pl_module)})

    def scores(self, trainer: Any, model: GAN) -> dict[str, float]:
        """Of 2,500 points, the same latents at every look, or of 1,000 digits."""
        if self.reader is None:
            points = model.keyed(lambda: model.sample(2500), "benchmark")
            return point_scores(points, trainer.datamodule.centres, trainer.datamodule.std)
        with averaged(trainer, model):
            probabilities = self.reader.probabilities(model.keyed(lambda: model.sample(1000), "benchmark"))
        return {"p > 0.9": confident_share(probabilities), "rarest digit": float(class_shares(probabilities).min())}


def entries() -> dict[str, list[str]]:
    """The rows: no trick, each trick of configs/tricks alone, a few together."""
    alone = {path.stem: [path.stem] for path in sorted(TRICKS.glob("*.yaml"))}
    return {"none": [], **alone, **MIXED}


def build(tricks: list[str], data: str, seed: int) -> GAN:
    """The model of a run.

    Raises:
        ValueError: if the trick does not go with the model.
    """
    classes, options = [], {}
    for trick in tricks:
        node = dict(OmegaConf.load(TRICKS / f"{trick}.yaml")[trick])
        classes.append(get_class(node.pop("_target_")))
        own = OPTIONS.get(trick, {})
        options |= node | own.get("digits" if data == "digits" else "points", {})
    model, base = (DCGAN, IMAGES) if data == "digits" else (MLPGAN, POINTS)
    return compose(model, *classes)(**{**base, **options, "seed": seed})


def run(entry: str, data: str, seed: int) -> dict[str, Any]:
    """One row of the file."""
    row: dict[str, Any] = {"entry": entry, "data": data, "seed": seed}
    try:
        model = build(entries()[entry], data, seed)
    except ValueError as refusal:
        return {**row, "refused": str(refusal)}
    kind = {"ring": Rings, "grid": Grid, "digits": Digits}[data]
    module = kind(batch_size=BATCH[data], seed=seed, **({"image_size": 16} if data == "digits" else {}))
    look = Look(data)
    trainer = lightning.Trainer(
        **QUIET,
        accelerator="cpu",
        max_steps=UPDATES[data],
        max_epochs=-1,
        callbacks=[EMA(half_life=2000), look],
    )
    start = time.process_time()
    trainer.fit(model, datamodule=module)
    return {**row, "looks": look.found, "cpu_minutes": (time.process_time() - start) / 60}


def shown(values: list[float]) -> str:
    """Mean and standard deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    digits = 1 if max(values) > 2 else 2
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def table(rows: list[dict[str, Any]], data: str) -> str:
    """One data set's table in Markdown."""
    scores = SHOWN[data]
    heads = [f"{score}, {when}" for score in scores for when in ("best", "last")]
    lines = [f"| trick | seeds | {' | '.join(heads)} | CPU minutes |", "|" + "---|" * (len(heads) + 3)]
    for entry in entries():
        found = [row for row in rows if row["entry"] == entry and row["data"] == data]
        done = [row for row in found if "looks" in row]
        if not done:
            continue
        cells = []
        for score in scores:
            choose = min if score in LOWER_IS_BETTER else max
            cells.append(shown([choose(look[score] for look in row["looks"]) for row in done]))
            cells.append(shown([row["looks"][-1][score] for row in done]))
        minutes = statistics.mean(row["cpu_minutes"] for row in done)
        lines.append(f"| {entry} | {len(done)} | {' | '.join(cells)} | {minutes:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, or prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the file of results, one line a run")
    parser.add_argument("--data", nargs="+", default=list(UPDATES), choices=list(UPDATES))
    parser.add_argument("--tricks", nargs="+", help="rows to run; all if none is named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--collect", action="store_true", help="print the tables of what there is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    if arguments.collect:
        print(machine())
        for data in arguments.data:
            print(f"\n## {data}: {UPDATES[data]:,} updates\n\n{table(rows, data)}")
        return
    known = {(row["entry"], row["data"], row["seed"]) for row in rows}
    todo = [(e, d, s) for s in arguments.seeds for d in arguments.data for e in arguments.tricks or entries()]
    for key in todo:
        if key not in known:
            row = run(*key)
            with arguments.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(*key, row.get("refused") or row["looks"][-1], flush=True)


if __name__ == "__main__":
    main()
