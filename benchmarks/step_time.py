"""The time of a training step: ours inside Lightning's Trainer, against a plain PyTorch loop over the same networks.

    python benchmarks/step_time.py                        # everything: some minutes on two cores
    python benchmarks/step_time.py --only ring --quick    # seconds

Both are timed in one process, in turns: a callback lets the Trainer take a block of steps, then runs a block of the
plain loop's, and so on, so that a busy machine slows both. The first round is left out. Every figure is the median over
the rounds of a round's median step, with the least and the greatest round in brackets.

The plain loop is the one that everybody copies: the discriminator passes over the real batch, the fake batch, and the
same fake batch again in the generator's turn; nothing is frozen, NCHW, torch's default Adam, losses not even printed.
Ours gets uint8 images from a data module, as in a run; the plain loop gets floats that are ready in memory.

On a machine with other work to do, `--cpu-time` counts the seconds of one thread alone, whoever else there is.

What is due only now and then (pictures, scores, checkpoints) does not show in a median; `mean` has its share of it.
"""

import argparse
import copy
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

import lightning
import torch
from hydra import compose, initialize_config_module
from lightning.pytorch.callbacks import Callback
from machine import machine
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from typing_extensions import override

from lit_gans import GAN
from lit_gans.configs import build
from lit_gans.configs.check import Config, checked

Clock = Callable[[], float]
CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"
Round = dict[str, list[float]]
"""Seconds of each step of a round, by who took it."""


class PlainLoop:
    """The well-known loop for two networks, one step a call.

    Args:
        model: whose networks are copied.
        batches: of real samples, taken in turn.
        precision: ``32-true`` or ``bf16-mixed``.
    """

    def __init__(self, model: GAN, batches: Sequence[Tensor], precision: str) -> None:
        self.generator, self.discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
        self.batches, self.taken, self.latent_dim = batches, 0, model.latent_dim
        self.autocast = torch.autocast(batches[0].device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
        for network in (self.generator, self.discriminator):
            network.to(batches[0].device)
        self.move_discriminator = self._adam(self.discriminator, model.discriminator_optimizer)
        self.move_generator = self._adam(self.generator, model.generator_optimizer)

    @staticmethod
    def _adam(network: nn.Module, options: dict[str, Any]) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), lr=float(options["lr"]), betas=tuple(options["betas"]))

    def loss(self, samples: Tensor, target: float) -> Tensor:
        logits = self.discriminator(samples)
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def __call__(self) -> None:
        real = self.batches[self.taken % len(self.batches)]
        self.taken += 1
        self.move_discriminator.zero_grad()
        with self.autocast:
            real_loss = self.loss(real, 1.0)
        torch.autograd.backward(real_loss)
        with self.autocast:
            fake = self.generator(torch.randn(len(real), self.latent_dim, device=real.device))
            fake_loss = self.loss(fake.detach(), 0.0)
        torch.autograd.backward(fake_loss)
        self.move_discriminator.step()
        self.move_generator.zero_grad()
        with self.autocast:
            loss = self.loss(fake, 1.0)
        torch.autograd.backward(loss)
        self.move_generator.step()


class InTurns(Callback):
    """Times the Trainer's steps from end to end, and a block of each rival's after each block of them.

    Args:
        rivals: plain loops by name.
        block: steps of a round.
        clock: gives seconds.
    """

    def __init__(self, rivals: dict[str, PlainLoop], block: int, clock: Clock) -> None:
        self.rivals, self.block, self.clock = rivals, block, clock
        self.rounds: list[Round] = []
        self.own: list[float] = []
        self.since = 0.0

    @override
    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.since = self.clock()

    @override
    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: Any, *_: Any) -> None:
        self.own.append(self.clock() - self.since)
        if len(self.own) == self.block:
            with without_lightning():
                rivals = {name: [self.timed(loop) for _ in range(self.block)] for name, loop in self.rivals.items()}
            self.rounds.append({"ours": self.own, **rivals})
            self.own = []
        self.since = self.clock()

    def timed(self, loop: PlainLoop) -> float:
        """Seconds that a step takes."""
        start = self.clock()
        loop()
        return self.clock() - start


@contextmanager
def without_lightning() -> Iterator[None]:
    """Lightning sets a variable that makes torch ask the driver for GPUs at every step of Adam, 0.1 ms without one."""
    value = os.environ.pop(CHECK, None)
    yield
    if value is not None:
        os.environ[CHECK] = value


def wall_time() -> float:
    """Seconds, once the device has done what it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


# What runs


@contextmanager
def run(overrides: Sequence[str], callbacks: str) -> Iterator[Config]:
    """The configuration of a run, as from the command line, and a folder that is there until the end."""
    with tempfile.TemporaryDirectory() as folder, initialize_config_module("lit_gans.configs", version_base="1.3"):
        yield checked(compose("train", [f"callbacks={callbacks}", "logger=csv", f"run_dir={folder}", *overrides]))


def measure(
    arguments: argparse.Namespace, overrides: Sequence[str], callbacks: str, rivals: Sequence[str], block: int
) -> list[Round]:
    """The rounds of a run of ours and of plain loops in each of the precisions ``rivals``."""
    steps = (arguments.rounds + 1) * block
    with run([*overrides, f"trainer.max_steps={steps}"], callbacks) as config:
        model, data = build.model(config), build.data(config)
        data.prepare_data()
        data.setup("fit")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        batches = [model.prepare(batch)["image"].to(device).contiguous() for batch in some(data, 4)]
        loops = {f"plain {name}": PlainLoop(model, batches, name) for name in rivals}
        turns = InTurns(loops, block, time.thread_time if arguments.cpu_time else wall_time)
        loggers = build.loggers(config, None) if callbacks == "default" else []
        trainer = build.trainer(config, [*build.callbacks(config), turns], loggers)
        with redirect_stdout(StringIO()):
            trainer.fit(model, datamodule=data)
    return turns.rounds[1:]


def some(data: Any, count: int) -> list[dict[str, Tensor]]:
    """Batches of a data module."""
    size = data.batch_size
    indices = [list(range(start * size, (start + 1) * size)) for start in range(count)]
    return [data.train_dataset.__getitems__([i % len(data.train_dataset) for i in part]) for part in indices]


def dcgan(arguments: argparse.Namespace) -> None:
    """DCGAN at 64 pixels, in each precision."""
    overrides = ["model=dcgan", "data=digits", "experiment/tuned=none", "model.width=64", "data.batch_size=64"]
    overrides += ["model.image_size=64", "model.image_channels=3", "data.image_size=64", "data.image_channels=3"]
    overrides += ["callbacks.metrics=null"] if arguments.callbacks == "default" else []
    for precision in arguments.precision or precisions():
        rivals = list(dict.fromkeys(["32-true", precision]))
        steps = [*overrides, f"trainer.precision={precision}"]
        rounds = measure(arguments, steps, arguments.callbacks, rivals, 1 if arguments.quick else 3)
        print(f"\nDCGAN, 64 px, width 64, batch 64, {precision}, callbacks: {arguments.callbacks}")
        show(rounds, unit=1e-3, name="ms")


def precisions() -> list[str]:
    """Those that the machine computes in: bfloat16 on a CPU without its instructions is 40 times slower."""
    if torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return ["32-true", "bf16-mixed"]
    print("\nbf16-mixed is left out: this CPU has no instructions for it")
    return ["32-true"]


def ring(arguments: argparse.Namespace) -> None:
    """The fully connected GAN on a ring of Gaussians, without and with what a run has by default."""
    for batch_size in arguments.ring_batch:
        for callbacks in ("none", "default"):
            overrides = ["model=mlp_gan", "data=rings", f"data.batch_size={batch_size}"]
            rounds = measure(arguments, overrides, callbacks, ["32-true"], 20 if arguments.quick else 100)
            print(f"\nRing, 2x128 hidden units, batch {batch_size}, callbacks and logger: {callbacks}")
            show(rounds, unit=1e-6, name="us")


# What is said


def show(rounds: Sequence[Round], *, unit: float, name: str) -> None:
    """Steps, ratios and differences."""
    medians = [{who: statistics.median(steps) / unit for who, steps in taken.items()} for taken in rounds]
    for who in medians[0]:
        mean = statistics.fmean([step for taken in rounds for step in taken[who]]) / unit
        print(f"  {who:<18}{spread([each[who] for each in medians], '.0f')} {name} a step, mean {mean:.0f}")
    for who in list(medians[0])[1:]:
        ratio = spread([each["ours"] / each[who] for each in medians], ".2f")
        more = spread([each["ours"] - each[who] for each in medians], "+.0f")
        print(f"  ours to {who:<15} {ratio}, {more} {name}", flush=True)


def spread(values: Sequence[float], form: str) -> str:
    """The median, the least and the greatest."""
    return f"{statistics.median(values):{form}} [{min(values):{form}} .. {max(values):{form}}]"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["dcgan", "ring"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="shorter rounds")
    parser.add_argument(
        "--precision", nargs="+", help="of DCGAN's steps; 32-true, and bf16-mixed if the machine has it"
    )
    parser.add_argument("--callbacks", choices=["none", "default"], default="none", help="of DCGAN's steps")
    parser.add_argument("--ring-batch", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--threads", type=int, help="of torch; its own choice if not given")
    parser.add_argument("--cpu-time", action="store_true", help="of one thread, instead of the time that passes")
    arguments = parser.parse_args()
    if arguments.threads or arguments.cpu_time:
        torch.set_num_threads(1 if arguments.cpu_time else arguments.threads)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(machine() + (", CPU time of one thread" if arguments.cpu_time else ""), flush=True)
    if arguments.only != "ring":
        dcgan(arguments)
    if arguments.only != "dcgan":
        ring(arguments)


if __name__ == "__main__":
    main()
