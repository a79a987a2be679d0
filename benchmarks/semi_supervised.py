"""How few labels does a classifier need? Test error of Improved Techniques for Training GANs (arXiv 1606.03498).

    python benchmarks/semi_supervised.py --data digits --labels 50 --seeds 0 1 2 3 4 --updates 4000 --out FOLDER
    python benchmarks/semi_supervised.py --data mnist --labels 100 --root FOLDER --out FOLDER --minutes 60
    python benchmarks/semi_supervised.py --out FOLDER --collect

Each run plays the game and, with `--supervised`, learns from the same labels with the same network alone. Settings are
those of the experiments `ssl_*`. A seed chooses the labels and the order of the data, too, unless `--labels-of` names
another for both. `--root` is a folder for `data.root`, or for CIFAR-10 a pair of files, as in `benchmarks/lapgan.py`.
Errors are of the averaged weights and of those that train, at every look and at the end; nothing is selected by them. A
run that was stopped goes on from its last look.
"""

import argparse
import datetime
import json
import logging
import re
import statistics
from pathlib import Path
from typing import Any

import lightning
import torch
from lapgan import JPEGs, jpegs
from machine import machine
from runs import QUIET, Look, spread
from torch import Tensor

from lit_gans.callbacks import images
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.test_error import confusion
from lit_gans.data import MNIST, Digits, FashionMNIST
from lit_gans.data.base import ImageDataModule
from lit_gans.models import SemiSupervisedGAN

PAPER = {
    ("mnist", 20): "16.77 ± 4.52",
    ("mnist", 50): "2.21 ± 1.36",
    ("mnist", 100): "0.93 ± 0.065",
    ("mnist", 200): "0.90 ± 0.042",
    ("cifar10", 4000): "18.63 ± 2.32",
}
"""Test error in %, ten runs; CIFAR-10's is of the lossless images."""

SAMPLES = 64
"""Shown of the averaged generator, at every look in the place of those before."""


class JPEGsWithTest(JPEGs):
    """CIFAR-10 from two files."""

    def originals(self, *, train: bool = True) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, 32, 32)`` uint8 and labels ``(N,)``."""
        return jpegs(Path(self.root), "train" if train else "test")


def data_of(name: str, root: str, labels: int, batch: int, seed: int) -> ImageDataModule:
    """The data set, of whose labels so many are told."""
    shared: dict[str, Any] = {"num_labelled": labels, "batch_size": batch, "seed": seed}
    if name == "digits":
        return Digits(image_size=8, num_test=500, **shared)
    if name == "cifar10":
        return JPEGsWithTest(root=root, **shared)
    return (MNIST if name == "mnist" else FashionMNIST)(root=root, image_size=28, **shared)


def model_of(name: str, seed: int, *, unsupervised: bool, clipped: bool) -> SemiSupervisedGAN:
    """With the settings of its experiment, but for clipping where that is not asked for."""
    adam = {"name": "adam_root", "lr": 3e-4 if name == "cifar10" else 3e-3, "betas": [0.5, 0.999]}
    options: dict[str, Any] = {"generator_optimizer": adam, "discriminator_optimizer": adam}
    if name == "digits":
        small = {"image_size": 8, "generator_width": 128, "discriminator_width": 256, "latent_dim": 50}
        options |= {**small, "lr_schedule": {"name": "linear"}}
    elif name == "cifar10":
        options |= {"network": "cnn", "image_size": 32, "image_channels": 3}
    elif clipped:
        options |= {"gradient_clip": 1.0}
    return SemiSupervisedGAN(seed=seed, unsupervised=unsupervised, **options)


class Errors(Look):
    """Of the averaged weights, and of those that train."""

    def __init__(self, path: Path, every: int, facts: dict[str, Any], ema: EMA) -> None:
        super().__init__(path, every, facts)
        self.ema = ema

    def measure(self, trainer: Any, model: SemiSupervisedGAN) -> dict[str, float]:
        """Both, and samples in a picture."""
        data = trainer.datamodule
        raw = wrong(model, data.test_dataset)
        with self.ema.swapped(model):
            averaged = wrong(model, data.test_dataset)
            samples = model.sample(SAMPLES)
        images.save(images.grid(images.to_uint8(samples)), self.path.with_suffix(".png"))
        epochs = trainer.global_step * data.batch_size / len(data.train_dataset)
        return {"epochs": epochs, "averaged": averaged, "raw": raw}


def wrong(model: SemiSupervisedGAN, data: Any) -> float:
    """The share of test images of which a wrong class is told."""
    counts = confusion(model, data)
    return 1 - int(counts.trace()) / int(counts.sum())


def run(labels: int, seed: int, arguments: argparse.Namespace) -> None:
    """Trains to the end, or as long as it may."""
    unsupervised, ema = not arguments.supervised, EMA(half_life=arguments.half_life, ramp_up=0.1)
    kind = "game" if unsupervised else "supervised"
    chosen = seed if arguments.labels_of is None else arguments.labels_of
    facts = {"data": arguments.data, "labels": labels, "labels_of": chosen, "seed": seed, "kind": kind}
    facts |= {
        "batch": arguments.batch,
        "updates": arguments.updates,
        "precision": arguments.precision,
        "unclipped": arguments.unclipped,
        "machine": machine(),
    }
    path = arguments.out / f"{arguments.data}-{labels}-{kind}-labels{chosen}-seed{seed}.json"
    look = Errors(path, arguments.every, facts, ema)
    trainer = lightning.Trainer(
        **QUIET,
        accelerator=arguments.accelerator,
        precision=arguments.precision,
        max_steps=arguments.updates,
        max_epochs=-1,
        max_time=datetime.timedelta(minutes=arguments.minutes) if arguments.minutes else None,
        callbacks=[ema, look],
    )
    model = model_of(arguments.data, seed, unsupervised=unsupervised, clipped=not arguments.unclipped)
    data = data_of(arguments.data, arguments.root, labels, arguments.batch, chosen)
    trainer.fit(model, datamodule=data, ckpt_path=look.last, weights_only=True)


def kind_of(run: dict[str, Any]) -> tuple[Any, ...]:
    """What runs have in common that are compared by their seeds."""
    return run["data"], run["labels"], run["kind"]


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: test error in %, mean and standard deviation over the seeds, at the end and at the best look."""
    heads = ["data", "labels", "chosen by", "trained with", "seeds", "epochs", "minutes (CPU)"]
    heads += ["error, %", "wrong", "raw weights, %", "best look, %", "paper, %"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    groups: dict[tuple[Any, ...], list[Any]] = {}
    several = {(*kind_of(run), run["labels_of"]) for run in runs if run["seed"] != run["labels_of"]}
    for run in runs:
        if run["seed"] == run["labels_of"]:
            groups.setdefault((*kind_of(run), "each seed"), []).append(run["looks"])
        if (*kind_of(run), run["labels_of"]) in several:
            groups.setdefault((*kind_of(run), f"seed {run['labels_of']}"), []).append(run["looks"])
    for (data, labels, kind, chosen), same in sorted(groups.items()):
        last = [looks[-1] for looks in same]
        means = {name: statistics.mean(row[name] for row in last) for name in ("epochs", "minutes", "cpu_minutes")}
        count = {"digits": 500}.get(data, 10_000)
        cells = [data, f"{labels:,}", chosen, kind, str(len(same)), f"{means['epochs']:.0f}"]
        cells += [f"{means['minutes']:.1f} ({means['cpu_minutes']:.1f})"]
        cells += [spread([100 * row["averaged"] for row in last]), spread([count * row["averaged"] for row in last])]
        cells += [spread([100 * row["raw"] for row in last])]
        cells += [spread([100 * min(row["averaged"] for row in looks) for looks in same])]
        cells += [PAPER.get((data, labels), "-") if kind == "game" else "-"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is asked for, or prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["digits", "mnist", "fashion_mnist", "cifar10"])
    parser.add_argument("--labels", type=int, nargs="+")
    parser.add_argument("--root", default="data", help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labels-of", type=int, help="one seed for the labels and the order of all runs")
    parser.add_argument("--supervised", action="store_true", help="the labels alone")
    parser.add_argument("--unclipped", action="store_true", help="MNIST and Fashion-MNIST without clipped gradients")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--updates", type=int, default=-1)
    parser.add_argument("--minutes", type=float, help="stop each run after so long")
    parser.add_argument("--every", type=int, default=2000, help="updates from look to look")
    parser.add_argument("--half-life", type=float, default=500_000, help="of the average, in images, at most")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--collect", action="store_true", help="print the table of what there is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.collect:
        runs = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*-seed*.json"))]
        print(*sorted({re.sub(", load [0-9.]+", "", run["machine"]) for run in runs}), table(runs), sep="\n\n")
        return
    for seed in arguments.seeds:
        for labels in arguments.labels:
            run(labels, seed, arguments)


if __name__ == "__main__":
    main()
