"""Does looking ahead save modes, of a thousand? Stacked MNIST of Unrolled GANs (arXiv 1611.02163, section 3.3.1).

    python benchmarks/stacked_mnist.py --root FOLDER --out FOLDER --size quarter half --k 0 5 10 --updates 5000
    python benchmarks/stacked_mnist.py --out FOLDER --collect

Three random digits as the channels of an image, made on the fly; a discriminator of a quarter or half of the
generator's width; batch 128, Adam (0.5, 0.99) with rates 1e-4 and 2e-4; 25,600 samples of the raw generator, read by
the shipped classifier of MNIST's digits (99.46 %). The paper's runs are longer by far, 500,000 updates in a published
repetition: compare the rows with each other, and read the paper's figures beside them as what there is to reach. Each
run is a file of its own, written at every look, and goes on from its last one. On a GPU, which waits for the launch of
small kernels here, `--compile` pays.
"""

import argparse
import datetime
import json
import logging
import re
import statistics
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from machine import machine
from runs import QUIET, spread
from torch import Tensor, nn

from lit_gans import GAN, losses
from lit_gans.callbacks.images import to_uint8
from lit_gans.data import StackedMNIST
from lit_gans.metrics.mnist import MNISTClassifier
from lit_gans.metrics.modes import read_stacks, stack_scores
from lit_gans.mixins import Unrolled

SIZES = {"quarter": 2, "half": 4}
"""Channels of the discriminator's first layer."""
PAPER = {
    ("quarter", 0): "30.6 / 5.99",
    ("quarter", 5): "236.4 / 4.67",
    ("quarter", 10): "327.2 / 4.66",
    ("half", 0): "628.0 / 2.58",
    ("half", 5): "732.0 / 1.66",
    ("half", 10): "817.4 / 1.43",
}
"""Modes and KL, as quoted by PacGAN (arXiv 1712.04086, Table 3)."""
SAMPLES, BATCH = 25_600, 128


class Generator(nn.Sequential):
    """Latents ``(N, 256)`` to images ``(N, 3, 28, 28)``."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Linear(256, 64 * 16, bias=False), nn.BatchNorm1d(64 * 16), nn.ReLU()]
        layers.append(nn.Unflatten(1, (64, 4, 4)))
        for before, after, larger in ((64, 32, 0), (32, 16, 1), (16, 8, 1)):
            up = nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=larger, bias=False)
            layers += [up, nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(8, 3, 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]."""
        images: Tensor = super().forward(latent)
        return images


class Discriminator(nn.Module):
    """Images ``(N, 3, 28, 28)`` to raw logits ``(N,)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.3)]
        self.hidden = nn.Sequential(*layers, nn.Flatten())
        self.output = nn.Linear(4 * width * 16, 1)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Raw logits."""
        logits: Tensor = self.output(self.hidden(image))
        return logits.flatten()


class StackedGAN(Unrolled, GAN):
    """The non-saturating game on these networks."""

    has_labels = True

    def __init__(self, *, width: int, **rest: Any) -> None:
        super().__init__(latent_dim=256, **rest)
        self.width, self.sample_shape = width, (3, 28, 28)

    def build_generator(self) -> nn.Module:
        """The generator."""
        return Generator()

    def build_discriminator(self) -> nn.Module:
        """The discriminator."""
        return Discriminator(self.width)

    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """-E log s(D(x)) - E log(1 - s(D(G(z))))."""
        return losses.gan_discriminator_loss(*self.discriminator_logits(real, fake, condition))

    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """-E log s(D(G(z)))."""
        return losses.non_saturating_generator_loss(self.generator_logits(fake, condition))


class Look(Callback):
    """Counts the modes now and then, writes down what it found, and keeps what training goes on from.

    Args:
        path: of the results, a .json; the checkpoint lies beside it.
        every: updates from look to look.
        facts: what the run is, for the results.
    """

    def __init__(self, path: Path, every: int, facts: dict[str, Any]) -> None:
        self.path, self.every, self.facts = path, every, facts
        self.reader = MNISTClassifier.pretrained()
        self.rows: list[dict[str, float]] = []
        self.seconds, self.started = 0.0, time.process_time()

    def state_dict(self) -> dict[str, Any]:
        """What there is so far; the CPU time of earlier processes, too."""
        return {"rows": self.rows, "seconds": self.cpu_seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on."""
        self.rows, self.seconds = state_dict["rows"], state_dict["seconds"]

    def cpu_seconds(self) -> float:
        """Since training began."""
        return self.seconds + time.process_time() - self.started

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Looks at an update that is due."""
        if trainer.global_step % self.every:
            return
        images = pl_module.keyed(lambda: pl_module.sample(SAMPLES), "benchmark")
        scores = stack_scores(read_stacks(self.reader.to(images.device), to_uint8(images)))
        self.rows.append({"update": trainer.global_step, **scores, "cpu_minutes": self.cpu_seconds() / 60})
        trainer.save_checkpoint(self.path.with_suffix(".ckpt"), weights_only=False)
        self.path.write_text(json.dumps({**self.facts, "looks": self.rows}))
        print(self.path.stem, self.rows[-1], flush=True)


def run(size: str, k: int, seed: int, arguments: argparse.Namespace) -> None:
    """Trains to the end, from the last look of an earlier process if there is one."""
    facts = {"size": size, "k": k, "seed": seed, "machine": machine()}
    look = Look(arguments.out / f"{size}-k{k}-seed{seed}.json", arguments.every, facts)
    betas = [0.5, 0.99]
    model = StackedGAN(
        width=SIZES[size],
        unrolled_steps=k,
        unrolled_compile=arguments.compile,
        seed=seed,
        generator_optimizer={"name": "adam", "lr": 1e-4, "betas": betas},
        discriminator_optimizer={"name": "adam", "lr": 2e-4, "betas": betas},
    )
    trainer = lightning.Trainer(
        **QUIET,
        accelerator=arguments.accelerator,
        max_steps=arguments.updates,
        max_epochs=-1,
        max_time=datetime.timedelta(minutes=arguments.minutes) if arguments.minutes else None,
        callbacks=[look],
    )
    data = StackedMNIST(root=arguments.root, image_size=28, batch_size=BATCH, seed=seed)
    before = look.path.with_suffix(".ckpt")
    trainer.fit(model, datamodule=data, ckpt_path=before if before.exists() else None, weights_only=True)


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: each k after as many updates as all of them have had, and after its own last; over the seeds."""
    heads = ["D", "k", "updates", "seeds", "modes", "KL", "read with p > 0.9", "CPU minutes", "paper: modes / KL"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for size in sorted({run["size"] for run in runs}, reverse=True):
        same = [run for run in runs if run["size"] == size]
        common = min(run["looks"][-1]["update"] for run in same)
        rows = {(run["k"], update) for run in same for update in (common, run["looks"][-1]["update"])}
        for k, update in sorted(rows, key=lambda row: (row[1] != common, row)):
            found = [look for run in same if run["k"] == k for look in run["looks"] if look["update"] == update]
            cells = [spread([look[score] for look in found]) for score in ("captured", "reverse_kl", "confident")]
            minutes = f"{statistics.mean(look['cpu_minutes'] for look in found):.1f}"
            rest = [f"{update:,}", str(len(found)), *cells, minutes, PAPER.get((size, k), "-")]
            lines.append(f"| {size} | {k} | {' | '.join(rest)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, or prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="folder of MNIST, as data.root")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--size", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--k", type=int, nargs="+", default=[0, 5, 10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--updates", type=int, default=5000)
    parser.add_argument("--every", type=int, default=2500, help="updates from look to look")
    parser.add_argument("--minutes", type=float, help="stop each run after so long")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--compile", action="store_true", help="compile the gradient of D's steps ahead")
    parser.add_argument("--collect", action="store_true", help="print the table of what there is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.collect:
        runs = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*-k*-seed*.json"))]
        print(*sorted({re.sub(", load [0-9.]+", "", run["machine"]) for run in runs}), table(runs), sep="\n\n")
        return
    for seed in arguments.seeds:
        for size in arguments.size:
            for k in arguments.k:
                run(size, k, seed, arguments)


if __name__ == "__main__":
    main()
