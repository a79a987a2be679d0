"""Does looking ahead save modes? The ring of Unrolled GANs (Metz et al. 2017, arXiv 1611.02163, section 3.1).

    python benchmarks/unrolled_ring.py --out FOLDER --k 0 5 10 --seeds 0 1 2 3 4      # goes on where it stopped
    python benchmarks/unrolled_ring.py --out FOLDER --collect --picture docs/models/unrolled_ring.png

`model=unrolled` with its defaults on `data=rings`, batch 512, 25,000 updates, one thread. The samples are the raw
generator's, the same 2,500 latents at every look. Nothing is selected. Each run is a file of its own, so that several
processes may share the work.
"""

import argparse
import json
import logging
import statistics
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from machine import machine
from matplotlib.figure import Figure
from runs import QUIET
from safetensors.torch import load_file, save_file

from lit_gans.data import Rings
from lit_gans.metrics.modes import point_scores
from lit_gans.models import UnrolledGAN

UPDATES, EVERY, PICTURED, BATCH, SAMPLES = 25_000, 2500, 5000, 512, 2500
SCORES = ("captured", "high_quality", "reverse_kl")


class Look(Callback):
    """Scores the samples now and then, and keeps them, and what training goes on from."""

    def __init__(self, out: Path, name: str) -> None:
        self.checkpoint, self.points_file = out / f"{name}.ckpt", out / f"{name}.safetensors"
        self.rows: list[dict[str, float]] = []
        self.points: dict[str, torch.Tensor] = {}
        self.seconds, self.started = 0.0, time.process_time()

    def state_dict(self) -> dict[str, Any]:
        """What there is so far; the CPU time of earlier processes, too."""
        return {"rows": self.rows, "points": self.points, "seconds": self.cpu_seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on."""
        self.rows, self.points, self.seconds = state_dict["rows"], state_dict["points"], state_dict["seconds"]

    def cpu_seconds(self) -> float:
        """Since training began."""
        return self.seconds + time.process_time() - self.started

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Looks at the untrained generator."""
        if not self.rows:
            self.look(trainer, pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Looks at an update that is due."""
        if trainer.global_step % EVERY == 0:
            self.look(trainer, pl_module)

    def look(self, trainer: Any, model: UnrolledGAN) -> None:
        """One row."""
        points = model.keyed(lambda: model.sample(SAMPLES), "benchmark")
        self.points[str(trainer.global_step)] = points
        self.rows.append(
            {"update": trainer.global_step, **point_scores(points, trainer.datamodule.centres, trainer.datamodule.std)}
        )
        if trainer.global_step:
            trainer.save_checkpoint(self.checkpoint, weights_only=False)
        print(self.checkpoint.stem, self.rows[-1], f"{self.cpu_seconds() / 60:.1f} CPU minutes", flush=True)


def run(k: int, seed: int, out: Path) -> None:
    """Trains to the end, from the last look of an earlier process if there is one."""
    name = f"k{k}-seed{seed}"
    look = Look(out, name)
    trainer = lightning.Trainer(
        **QUIET,
        accelerator="cpu",
        max_steps=UPDATES,
        max_epochs=-1,
        callbacks=[look],
    )
    before = look.checkpoint if look.checkpoint.exists() else None
    model, data = UnrolledGAN(unrolled_steps=k, seed=seed), Rings(batch_size=BATCH, seed=seed)
    trainer.fit(model, datamodule=data, ckpt_path=before, weights_only=True)
    save_file(look.points, look.points_file)
    row = {"k": k, "seed": seed, "looks": look.rows, "cpu_minutes": look.cpu_seconds() / 60, "machine": machine()}
    (out / f"{name}.json").write_text(json.dumps(row))
    look.checkpoint.unlink(missing_ok=True)


def collect(out: Path) -> list[dict[str, Any]]:
    """The finished runs."""
    return sorted(
        (json.loads(path.read_text()) for path in out.glob("k*-seed*.json")), key=lambda r: (r["k"], r["seed"])
    )


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: mean and standard deviation at the pictured updates, and how many runs have all eight modes."""
    lines = ["| k | seeds | update | modes | high quality | reverse KL | all 8 |", "|---|---|---|---|---|---|---|"]
    for k in sorted({row["k"] for row in rows}):
        runs = [row for row in rows if row["k"] == k]
        for position, look in enumerate(runs[0]["looks"]):
            if look["update"] % PICTURED:
                continue
            found = [[run["looks"][position][score] for run in runs] for score in SCORES]
            cells = [f"{statistics.mean(v):.3f} ± {statistics.stdev(v) if len(v) > 1 else 0:.3f}" for v in found]
            whole = sum(value == 8 for value in found[0])
            lines.append(f"| {k} | {len(runs)} | {look['update']:,} | {' | '.join(cells)} | {whole} of {len(runs)} |")
    return "\n".join(lines)


def picture(out: Path, rows: list[dict[str, Any]], seed: int, target: Path) -> None:
    """A row of densities for each k of one seed, in the paper's order: update 0, 5,000 … 25,000, and the data last."""
    data = Rings(batch_size=BATCH, num_samples=SAMPLES, seed=seed)
    data.setup("fit")
    real = data.train_dataset.__getitems__(list(range(SAMPLES)))["image"]
    chosen = [row for row in rows if row["seed"] == seed]
    columns = UPDATES // PICTURED + 2
    figure = Figure(figsize=(1.6 * columns, 1.75 * len(chosen)), dpi=80)
    grid = figure.subplots(len(chosen), columns, squeeze=False)
    for position, (axes, row) in enumerate(zip(grid, chosen, strict=True)):
        points = load_file(out / f"k{row['k']}-seed{seed}.safetensors")
        shown = [(f"update {step:,}", points[str(step)]) for step in range(0, UPDATES + 1, PICTURED)] + [("data", real)]
        for axis, (title, cloud) in zip(axes, shown, strict=True):
            axis.hist2d(*cloud.T.numpy(), bins=90, range=[[-3, 3], [-3, 3]], cmap="Greens", vmax=SAMPLES / 250)
            axis.set(xticks=[], yticks=[], aspect="equal")
            if position == 0:
                axis.set_title(title, fontsize=9)
        axes[0].set_ylabel(f"k = {row['k']}", fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(target)


def main() -> None:
    """Runs what is missing, or prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--k", type=int, nargs="+", default=[0, 5, 10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--collect", action="store_true", help="print the table of what there is")
    parser.add_argument("--picture", type=Path, help="with --collect: where to put the densities of the first seed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.collect:
        rows = collect(arguments.out)
        print(machine(), table(rows), sep="\n\n")
        if arguments.picture:
            picture(arguments.out, rows, arguments.seeds[0], arguments.picture)
        return
    for seed in arguments.seeds:
        for k in arguments.k:
            if not (arguments.out / f"k{k}-seed{seed}.json").exists():
                run(k, seed, arguments.out)


if __name__ == "__main__":
    main()
